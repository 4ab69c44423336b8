"""Changes of accounts become access events: each, in order, once by its id, through outages and repeats."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.change_events import change_event
from pipeline.accounts.model import AccountChange
from pipeline.adapters import account_file
from pipeline.adapters.account_announcements import announce_account_changes, is_anything_unannounced
from pipeline.adapters.account_file import AccountFile
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.errors import Away
from pipeline.stages.decode import decode_event
from tests.accounts import ADMIN, cheap_passwords, token_file
from tests.unit.versions.deployment import Topic


def _told(topic: Topic) -> list[tuple[int, str, str, str]]:
    events = [json.loads(value) for _, value in topic.acknowledged]
    return [(one["source_seq"], one["actor_id"], one["endpoint"], one["resource_id"]) for one in events]


def test_every_change_is_told_in_order_and_only_once(tmp_path: Path) -> None:
    topic = Topic()
    token_file(tmp_path, "li.wei", "soc")
    assert is_anything_unannounced(tmp_path)
    assert announce_account_changes(tmp_path, topic) == 4
    assert _told(topic) == [
        (1, ADMIN, "users added", ADMIN), (2, ADMIN, "users added", "li.wei"),
        (3, "li.wei", "users password_changed", "li.wei"), (4, "li.wei", "users token_made", "li.wei"),
    ]  # fmt: skip
    assert {key for key, _ in topic.acknowledged} == {ADMIN.encode(), b"li.wei"}
    assert not is_anything_unannounced(tmp_path)
    assert announce_account_changes(tmp_path, topic) == 0
    with open_accounts(tmp_path, passwords=cheap_passwords()) as accounts:
        accounts.disable(ADMIN, "li.wei", "left the company", 1_800_000_000_000_000)
    assert announce_account_changes(tmp_path, topic) == 1
    assert json.loads(topic.acknowledged[-1][1])["justification"] == "1 tokens revoked; left the company"


def test_what_kafka_did_not_take_is_told_later_under_the_same_ids(tmp_path: Path) -> None:
    topic = Topic()
    token_file(tmp_path, "li.wei", "soc")
    topic.away = 1
    with pytest.raises(Away):
        announce_account_changes(tmp_path, topic)
    assert topic.acknowledged == []
    assert announce_account_changes(tmp_path, topic) == 4
    again = Topic()
    with sqlite3.connect(accounts_path(tmp_path)) as connection:  # as if the mark had been lost
        connection.execute("UPDATE announcements SET number = 0")
    connection.close()
    announce_account_changes(tmp_path, again)
    assert again.acknowledged == topic.acknowledged


def test_one_process_tells_at_a_time(tmp_path: Path) -> None:
    token_file(tmp_path, "li.wei", "soc")

    class Meanwhile(Topic):
        """Another process comes while this one waits for Kafka."""

        def flush(self) -> None:
            assert announce_account_changes(tmp_path, Topic()) == 0
            super().flush()

    assert announce_account_changes(tmp_path, Meanwhile()) == 4
    assert announce_account_changes(tmp_path, Topic()) == 0


def test_the_mark_never_goes_back(tmp_path: Path) -> None:
    token_file(tmp_path, "li.wei", "soc")
    with open_accounts(tmp_path, passwords=cheap_passwords()) as accounts:
        accounts.mark_announced(3)
        accounts.mark_announced(1)
        assert [one.number for one in accounts.unannounced()[1]] == [4]


def test_nothing_is_made_where_there_are_no_accounts(tmp_path: Path) -> None:
    assert announce_account_changes(tmp_path, Topic()) == 0
    assert not is_anything_unannounced(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_registers_never_give_one_event_the_same_id(tmp_path: Path) -> None:
    change = AccountChange(number=1, at_us=0, by=ADMIN, account=ADMIN, what="added", detail="", reason="")
    ids = {json.loads(change_event(change, register))["event_id"] for register in ("a", "b")}
    assert len(ids) == 2
    assert change_event(change, "a") == change_event(change, "a")


AT_US = 1_795_000_000_123_456
_TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=2000)


@given(st.integers(1, 2**40), _TEXTS, _TEXTS)
def test_the_event_of_any_change_is_one_that_the_pipeline_takes(number: int, detail: str, reason: str) -> None:
    change = AccountChange(
        number=number, at_us=AT_US, by=ADMIN, account="li.wei", what="roles", detail=detail, reason=reason
    )
    event = decode_event(change_event(change, "ab" * 16), AT_US)
    assert (event.actor_id, event.action, event.source_seq) == (ADMIN, "policy_change", number)
    assert event.event_time.endswith(".123456Z")


def test_a_file_from_before_announcements_tells_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(account_file, "MIGRATIONS", account_file.MIGRATIONS[:1])
        path = accounts_path(tmp_path)
        AccountFile(path, create=True).close()
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO account_changes VALUES (1, 5, 'a', 'b', 'added', '', 'r')")
        connection.close()
    topic = Topic()
    assert announce_account_changes(tmp_path, topic) == 1
    assert _told(topic) == [(1, "a", "users added", "b")]
