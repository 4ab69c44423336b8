"""What the servers' own words are turned into. The samples are real ones, shortened."""

from __future__ import annotations

import pytest

from deploy.local import clickhouse, kafka


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("KafkaException: Socket server failed to bind to 127.0.0.1:9092: Address already in use.", "--kafka-port"),
        ("org.apache.kafka.common.KafkaException: Failed to acquire lock on file .lock in data. A Kafka instance in "
         "another process or thread is using this directory.", "accesstrail down"),
        ("java.io.IOException: No space left on device", "make room"),
        ("Error: Could not create the Java Virtual Machine.\nError: A fatal exception has occurred.", "make env"),
        ("cannot start /somewhere/bin/java: No such file or directory", "make env"),
    ],
)  # fmt: skip
def test_kafkas_words_become_advice(words: str, advice: str) -> None:
    assert advice in kafka.explain(words, 9092)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Code: 210. DB::NetException: Listen [127.0.0.1]:9000 failed: Address already in use", "--clickhouse-port"),
        ("Code: 76. DB::Exception: Cannot lock file status. Another server instance in same directory is already "
         "running. (CANNOT_OPEN_FILE)", "accesstrail down"),
        ("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)", "make room"),
        ("RuntimeError: Code: 516. DB::Exception: default: Authentication failed", "users.xml"),
        ("ModuleNotFoundError: No module named 'chdb'", "make env"),
    ],
)  # fmt: skip
def test_clickhouses_words_become_advice(words: str, advice: str) -> None:
    assert advice in clickhouse.explain(words, 9000, 8123)


def test_words_that_say_nothing_known_give_no_advice() -> None:
    assert kafka.explain("INFO all is well", 9092) == ""
    assert clickhouse.explain("", 9000, 8123) == ""
