"""Panels: what people look at, each defined once and shown by Grafana, the console, the command line and tests."""
