"""accesstrail's pipeline: moves access events from Kafka into ClickHouse and keeps them. Start at `flow.py`."""
