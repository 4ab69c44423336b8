"""The edges: one vendor or one channel a file, each implementing a role of `pipeline/ports.py`."""
