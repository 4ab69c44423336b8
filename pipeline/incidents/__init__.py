"""The incident engine: what one key's alerts and commands, in the order of the log, make of its incidents; pure."""
