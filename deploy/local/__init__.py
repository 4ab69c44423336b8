"""The local stack: real Apache Kafka and a real ClickHouse engine as child processes, by pip alone."""
