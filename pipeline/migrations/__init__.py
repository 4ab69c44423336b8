"""The store's schema: numbered steps, forward only, one statement a step, rendered from `pipeline/columns.py`."""
