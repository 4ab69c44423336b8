"""Beside the flow: how a worker is, said in its status, metrics, pages, alarms and words for people."""
