"""The store of the local stack with the schema applied, and connections as its roles."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.store import ClickHouseStore, open_store
from pipeline.events import LogPosition
from pipeline.migrations.runner import apply_all


@pytest.fixture(scope="session")
def clickhouse_settings(stack: Any) -> Any:
    apply_all(stack.settings)
    return stack.settings.clickhouse


@pytest.fixture
def connect_as(clickhouse_settings: Any) -> Iterator[Callable[[str], ClickHouse]]:
    opened: list[ClickHouse] = []

    def as_role(role: str) -> ClickHouse:
        opened.append(connect(clickhouse_settings, role))
        return opened[-1]

    yield as_role
    for client in opened:
        client.close()


@pytest.fixture
def migrator(connect_as: Callable[[str], ClickHouse]) -> ClickHouse:
    return connect_as("migrator")


@pytest.fixture
def reader(connect_as: Callable[[str], ClickHouse]) -> ClickHouse:
    return connect_as("reader")


@pytest.fixture
def store(clickhouse_settings: Any) -> Iterator[ClickHouseStore]:
    opened = open_store(clickhouse_settings)
    yield opened
    opened.close()


@pytest.fixture
def position() -> LogPosition:
    return LogPosition("access.events", f"life-{uuid.uuid4().hex}", 3)
