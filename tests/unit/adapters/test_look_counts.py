"""What an account has looked at: the store and the file of told looks together, each look once."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.look_counts import LookCounts, Told, ToldLooks
from pipeline.audit.quota import Used
from pipeline.privacy.keys import Keyring

HOUR_US = 3_600_000_000
NOW_US = 1_790_000_000_000_000
KEYRING = Keyring.offline()


class Store:
    """Rows of looks by id, as the view has them."""

    def __init__(self) -> None:
        self.looks: dict[str, int] = {}
        self.asked = 0

    def query(self, sql: str, parameters: Any = None, settings: Any = None) -> list[tuple[Any, ...]]:
        self.asked += 1
        seen = [rows for one, rows in self.looks.items() if one not in parameters["told"]]
        return [(len(seen), sum(seen))]


def counts(store: Store, folder: Path) -> LookCounts:
    return LookCounts(store, KEYRING, "default", ToldLooks(folder / "looks-told"))


def test_a_look_counts_once_whether_store_or_file_or_both_have_it(tmp_path: Path) -> None:
    store = Store()
    store.looks = {"a": 10, "b": 5}
    counts(store, tmp_path).note("li.na", "b", NOW_US - 10, 5)
    counts(store, tmp_path).note("li.na", "c", NOW_US - 5, 7)
    counts(store, tmp_path).note("wu.ling", "d", NOW_US - 5, 100)
    assert counts(store, tmp_path).used("li.na", NOW_US - HOUR_US, NOW_US) == Used(looks=3, rows=22)
    assert counts(store, tmp_path).used("li.na", NOW_US - 7, NOW_US) == Used(looks=3, rows=22)


def test_another_process_knows_of_a_look_at_once_and_the_store_is_not_asked_each_time(tmp_path: Path) -> None:
    store = Store()
    mine, other = counts(store, tmp_path), counts(store, tmp_path)
    assert mine.used("li.na", 0, NOW_US) == Used()
    other.note("li.na", "a", NOW_US, 3)
    assert mine.used("li.na", 0, NOW_US + 1) == Used(looks=1, rows=3)
    assert store.asked == 1
    store.looks = {"a": 3, "b": 2}
    assert mine.used("li.na", 0, NOW_US + 11_000_000) == Used(looks=2, rows=5)
    assert mine.used("li.na", NOW_US, NOW_US + 11_000_001) == Used(looks=2, rows=5)
    assert store.asked == 3, "another day is asked for anew"


def test_the_file_is_private_holds_no_name_and_is_cut_to_the_last_hour(tmp_path: Path) -> None:
    told, path = ToldLooks(tmp_path / "looks-told"), tmp_path / "looks-told"
    counts(Store(), tmp_path).note("li.na", "a", NOW_US, 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "li.na" not in path.read_text()
    with path.open("a") as file:
        file.write("".join(f'["{number}", "ab", 1, 1]\n' for number in range(700)) + '["torn')
    told.add(Told("b", "ab", NOW_US + 3 * HOUR_US, 1))
    assert path.stat().st_size < 100
    assert [one.read_id for one in told.of(["ab"], 0)] == ["b"]


@pytest.mark.parametrize(
    "line", [b"5", b"null", b'["a", "b", null, 1]', b'["a", "b", "c", "d"]', b"\xff\xfe", b"\0" * 64]
)
def test_a_line_that_is_none_of_ours_counts_nothing_and_stops_nobody(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "looks-told").write_bytes(line + b"\n")
    found = counts(Store(), tmp_path)
    found.note("li.na", "b", NOW_US, 2)
    assert found.used("li.na", NOW_US - HOUR_US, NOW_US) == Used(looks=1, rows=2)


def test_a_file_that_cannot_be_used_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "looks-told").mkdir()
    store = Store()
    store.looks = {"a": 1}
    found = counts(store, tmp_path)
    found.note("li.na", "b", NOW_US, 1)
    assert found.used("li.na", 0, NOW_US) == Used(looks=1, rows=1)
