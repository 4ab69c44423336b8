"""The pure steps every batch of events goes through, one step a file, in the order of `pipeline/flow.py`."""
