"""Grafana: the boards as its dashboards, its files and its API; nothing here is needed to run accesstrail."""
