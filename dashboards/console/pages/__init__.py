"""Handlers of pages: plain functions from a visit to an answer, named in `routes.py`."""
