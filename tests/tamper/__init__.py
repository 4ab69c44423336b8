"""Changes of what is stored and of bundles, by the hundred: verification must find each, and nothing where none is."""
