"""accesstrail's dashboards: what people look at (panels, Grafana, console)."""
