"""Lists that name people by tokens, legal holds and exceptions: told before anything is printed, or nothing is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.audit.quota import Quota, Used
from pipeline.audit.reads import DENIED, read_event
from pipeline.cli import exceptions, hold, main
from pipeline.errors import EXIT_FORBIDDEN, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from pipeline.exception_preview import Preview
from pipeline.retention.holds import ACTOR, Hold
from tests.accounts import token_file
from tests.exceptions import exception, token_of
from tests.looks import FakeKafka, Looked, told_to
from tests.unit.versions.deployment import Deployment

Words = tuple[str, ...]
HOLDS: Words = ("hold", "list")
LIST, EXPORT = ("exceptions", "list"), ("exceptions", "export")
PREVIEW = ("exceptions", "preview", "--actor", "svc.job", "--detector", "bulk_export")
READING = [HOLDS, LIST, EXPORT, PREVIEW]
LOOK = {HOLDS: "holds", LIST: "rules", EXPORT: "rules", PREVIEW: "rules"}
ROWS = {HOLDS: 2, LIST: 1, EXPORT: 1, PREVIEW: 7}
READS = pytest.mark.parametrize("words", READING, ids=lambda words: "-".join(words[:2]))
TOKEN = token_of(0)


class Desk:
    """Two holds, one exception, and the commands that show them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.deployment = Deployment(folder / "deployment")
        self.deployment.worker().started()
        self.kafka, self.looked = FakeKafka(), Looked()
        self.tokens: dict[str, Words] = {}
        patch.delenv("ACCESSTRAIL_TOKEN_FILE", raising=False)
        told_to(patch, self.kafka, self.looked)
        patch.setattr(hold, "connect", lambda *_: SimpleNamespace(close=lambda: None))
        patch.setattr(hold, "HoldReader", lambda _: SimpleNamespace(in_force=self.holds))
        patch.setattr(exceptions, "changing", self.changing)
        patch.setattr(exceptions, "_history", self.history)
        patch.setattr(exceptions, "exceptions_of", lambda *_: [exception("bulk_export")])
        patch.setattr(exceptions, "preview", lambda *_: Preview(reaching=7, held_back=3, alerts=Counter(), worst=[]))

    def holds(self) -> list[Hold]:
        return [Hold(hold_id=f"hold-{n}", tenant="acme", scope=ACTOR, actors=(TOKEN,), reason="x") for n in range(2)]

    @contextmanager
    def changing(self, *_: object) -> Iterator[SimpleNamespace]:
        access = SimpleNamespace(evidence=self.deployment.store, activations=self.deployment.log)
        yield SimpleNamespace(access=access)

    @contextmanager
    def history(self, *_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(
            now_us=lambda: 0, hits=lambda _: {}, events=lambda *_: (), alerted=lambda *_: set(), alerts=lambda _: ()
        )

    def account(self, name: str, role: str) -> Words:
        if name not in self.tokens:
            self.tokens[name] = ("--token-file", str(token_file(self.deployment.settings().state_dir, name, role)))
        return self.tokens[name]

    def analyst(self) -> Words:
        return self.account("lin.meng", "analyst")

    def run(self, words: Words, *more: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main([*words, *more, "--config", str(self.deployment.folder / "config.toml")])
        assert isinstance(caught.value.code, int)
        return caught.value.code


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


@READS
def test_a_look_of_an_account_is_told_with_what_is_shown_and_why(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    assert desk.run(words, "--reason", "review", "--case", "CHG-1", *desk.analyst()) == EXIT_OK
    assert words == PREVIEW or TOKEN[:8] in capsys.readouterr().out
    [read] = desk.kafka.told
    event = json.loads(read_event(read))
    assert (event["action"], event["resource_type"]) == ("read", f"evidence.{LOOK[words]}")
    assert (event["actor_id"], event["records_returned"], event["channel"]) == ("lin.meng", ROWS[words], "batch")
    assert (event["justification"], event["case_ref"], event["outcome"]) == ("review", "CHG-1", "success")


@READS
def test_nothing_is_printed_while_kafka_is_away(desk: Desk, capsys: pytest.CaptureFixture[str], words: Words) -> None:
    desk.kafka.is_away = True
    assert desk.run(words, *desk.analyst()) == EXIT_UNAVAILABLE
    shown = capsys.readouterr()
    assert (shown.out, "nothing is shown" in shown.err) == ("", True)


def test_nothing_is_written_while_kafka_is_away(desk: Desk, tmp_path: Path) -> None:
    desk.kafka.is_away = True
    assert desk.run(EXPORT, "--output", str(tmp_path / "file"), *desk.analyst()) == EXIT_UNAVAILABLE
    assert not (tmp_path / "file").exists()


@READS
def test_an_account_without_the_permission_reads_nothing_and_that_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    assert desk.run(words, "--reason", "curious", *desk.account("op.admin", "admin")) == EXIT_FORBIDDEN
    assert capsys.readouterr().out == ""
    [read] = desk.kafka.told
    assert (read.look, read.outcome, read.rows, read.reason) == (LOOK[words], DENIED, 0, "curious")


@READS
@pytest.mark.parametrize(("used", "setting"), [(Used(looks=3), "looks_per_day"), (Used(rows=40), "rows_per_day")])
def test_beyond_the_quota_of_the_day_nothing_is_printed(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: Words, used: Used, setting: str
) -> None:
    desk.looked.used_before, desk.looked.limits = used, Quota(looks_per_day=3, rows_per_day=40)
    assert desk.run(words, *desk.analyst()) == EXIT_FORBIDDEN
    shown = capsys.readouterr()
    assert (shown.out, setting in shown.err) == ("", True)
    assert [(read.look, read.outcome) for read in desk.kafka.told] == [(LOOK[words], DENIED)]


@READS
def test_where_looks_need_an_account_nobody_looks_without_one_or_without_a_reason(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    with (desk.deployment.folder / "config.toml").open("a", encoding="utf-8") as file:
        file.write("[audit]\nlooks_need_account = true\n")
    assert desk.run(words, "--reason", "review") == EXIT_FORBIDDEN
    assert desk.run(words, *desk.analyst()) == EXIT_USAGE
    assert capsys.readouterr().out == ""
    assert desk.run(words, "--reason", "review", *desk.analyst()) == EXIT_OK


@pytest.mark.parametrize("words", [LIST, EXPORT, PREVIEW], ids=lambda words: "-".join(words[:2]))
def test_without_an_account_a_local_stack_shows_exceptions_as_ever_and_tells_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    assert desk.run(words) == EXIT_OK
    assert (bool(capsys.readouterr().out), desk.kafka.told) == (True, [])


def test_holds_take_an_account_everywhere_and_no_reason_on_a_local_stack(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for reason in ((), ("--reason", "review")):
        assert desk.run(HOLDS, *reason) == EXIT_FORBIDDEN
        assert "--token-file" in capsys.readouterr().err
    assert desk.run(HOLDS, *desk.account("op.one", "operator")) == EXIT_OK
    assert [read.account for read in desk.kafka.told] == ["op.one"]


def test_whom_a_preview_is_about_stands_in_the_question_as_a_token(desk: Desk) -> None:
    assert desk.run(PREVIEW, *desk.analyst()) == EXIT_OK
    token = desk.deployment.keyring.canonical.token("default", "actor", "svc.job").hex()
    question: dict[str, Any] = {
        "command": "exceptions preview", "scope": {"actor": token}, "detectors": ["bulk_export"], "kinds": [],
        "up_to": None, "days": 14,
    }  # fmt: skip
    text = json.dumps(question, sort_keys=True, separators=(",", ":"))
    assert desk.kafka.told[0].fingerprint == sha256(text.encode()).hexdigest()
