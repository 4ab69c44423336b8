"""Retention on a schedule: once a night from its hour on, tried again where it failed, never two at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.cli import retention_run
from pipeline.cli.retention_run import alone, run_retention
from pipeline.directory import DirectorySnapshot
from pipeline.errors import EXIT_UNAVAILABLE, AccesstrailError, Away, ConfigError, StoreRefused
from pipeline.retention_settings import DEFAULT_HOUR, RetentionSettings
from pipeline.schedule.retention_nights import RetentionNights
from pipeline.schedule.runner import Versions

ZONE = ZoneInfo("Asia/Shanghai")
VERSIONS = Versions(b"v" * 32, DirectorySnapshot(), ZONE)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1_000_000)


@dataclass
class Nights:
    """The turn over a clock that a test sets; work is done at once unless it is kept waiting."""

    clock_us: int = 0
    began: list[int] = field(default_factory=list)
    fault: Exception | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)
    is_slow: bool = False

    def __post_init__(self) -> None:
        self.nights = RetentionNights(self.run, 3, lambda: self.clock_us, self.start)

    def run(self) -> int:
        self.began.append(self.clock_us)
        if self.fault is not None:
            raise self.fault
        return 7

    def start(self, work: Callable[[], None]) -> None:
        if self.is_slow:
            self.waiting.append(work)
        else:
            work()

    def turn(self, text: str) -> None:
        self.clock_us = at(text)
        self.nights.turn(0, VERSIONS)


def test_a_night_begins_at_its_hour_and_once() -> None:
    nights = Nights()
    for text in ("2026-11-28 02:59", "2026-11-28 03:00", "2026-11-28 03:05", "2026-11-28 23:59", "2026-11-29 02:59"):
        nights.turn(text)
    assert nights.began == [at("2026-11-28 03:00")]
    nights.turn("2026-11-29 09:00")  # nobody was there at three
    assert nights.began == [at("2026-11-28 03:00"), at("2026-11-29 09:00")]
    progress = nights.nights.progress
    assert (progress.deleted, progress.ended_us, progress.is_running) == (14, at("2026-11-29 09:00"), False)


def test_what_is_under_way_is_not_begun_again() -> None:
    nights = Nights(is_slow=True)
    for text in ("2026-11-28 03:00", "2026-11-28 04:00", "2026-11-29 05:00"):
        nights.turn(text)
    assert len(nights.waiting) == 1
    assert nights.nights.progress.is_running
    nights.waiting.pop()()
    nights.turn("2026-11-29 05:01")
    assert len(nights.waiting) == 1, "the next night's, which was waiting"


@pytest.mark.parametrize(
    ("fault", "code"),
    [(StoreRefused("a tree does not verify", code="not_verified"), "not_verified"), (Away("no"), "away"),
     (ValueError("a name"), "broken_invariant")],
)  # fmt: skip
def test_a_night_that_failed_says_so_until_one_does_not_and_is_tried_again_after_a_while(
    fault: Exception, code: str
) -> None:
    nights = Nights(fault=fault)
    for text in ("2026-11-28 03:00", "2026-11-28 03:29"):
        with pytest.raises(AccesstrailError) as caught:
            nights.turn(text)
        assert caught.value.code == code
        assert "a name" not in str(caught.value)
    assert len(nights.began) == 1
    nights.fault = None
    nights.turn("2026-11-28 03:30")
    assert len(nights.began) == 2
    nights.turn("2026-11-28 12:00")
    assert len(nights.began) == 2
    assert nights.nights.progress.fault is None


def test_of_two_runs_at_once_one_is_refused_and_the_lock_goes_with_whoever_had_it(tmp_path: Path) -> None:
    with alone(tmp_path):
        with pytest.raises(Away) as caught, alone(tmp_path):
            raise AssertionError
        assert (caught.value.code, caught.value.exit_code) == ("retention_runs", EXIT_UNAVAILABLE)
    with alone(tmp_path):
        pass
    (tmp_path / "retention.lock").unlink()
    (tmp_path / "retention.lock").mkdir()
    with pytest.raises(ConfigError), alone(tmp_path):
        raise AssertionError


def test_nobody_connects_while_another_run_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(retention_run, "connect", connected)
    keyring = SimpleNamespace(canonical=SimpleNamespace(token=lambda *_: bytes(16)))
    monkeypatch.setattr(retention_run, "Keyring", SimpleNamespace(load=lambda _: keyring))
    settings: Any = SimpleNamespace(
        state_dir=tmp_path, clickhouse=SimpleNamespace(password_files={"retention": tmp_path}),
        protection=SimpleNamespace(token_keys_file=tmp_path),
    )  # fmt: skip
    with alone(tmp_path), pytest.raises(Away):
        run_retention(settings, "ops", 1.0)


def test_it_is_off_unless_somebody_asks_for_it() -> None:
    assert not RetentionSettings().nightly
    assert RetentionSettings().nightly_hour == DEFAULT_HOUR
