"""Keys, tokens and masks: what stands between a raw identifier and everything after `protect`."""
