"""Runs the scheduled detectors: live over the store, offline over simulated time."""
