"""`accesstrail report audit`: told to the log before anybody sees it, made by auditors only, never over something."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pypdf
import pytest

from detectors.exceptions import AlertException
from pipeline.cli import acting, main, report, report_gathering
from pipeline.errors import EXIT_CONFIG, EXIT_FORBIDDEN, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.accounts import token_file
from tests.audit_reports import MADE_US, Store, full_store, sampled
from tests.incident_desk import Office
from tests.looks import FakeKafka, told_to

PERIOD = ("--from", "2026-09-21T14:13:20+00:00", "--to", "2026-10-03T04:00:00+00:00")


class Desk:
    """A configuration with accounts, and `accesstrail report audit` on a store that a test fills."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.office = Office(folder, patch)
        self.folder, self.store, self.announcer = folder, full_store(), FakeKafka()
        patch.setattr(report_gathering, "connect", lambda *_: self.store)
        told_to(patch, self.announcer)
        patch.setattr(report, "now_us", lambda: MADE_US)
        patch.setattr(acting, "now_us", lambda: MADE_US)

    def run(self, *words: Any, account: str = "chen.shen", roles: tuple[str, ...] = ("auditor",)) -> int:
        """Exit code of one report."""
        name = self.office.account(account, *roles) if account else ()
        config = ("--config", str(self.office.deployment.folder / "config.toml"))
        reason = () if "--reason" in words else ("--reason", "audit plan 4")
        with pytest.raises(SystemExit) as caught:
            main(["report", "audit", *PERIOD, *map(str, words), *reason, *name, *config])
        assert isinstance(caught.value.code, int)
        return caught.value.code


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_the_files_are_what_their_sums_say_and_only_their_owner_reads_them(desk: Desk) -> None:
    out = desk.folder / "q4"
    assert desk.run("--out", out, "--pdf", "--lang", "zh") == EXIT_OK
    sums = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    assert set(sums) == {"report.json", "report.md", "report.pdf"}
    for name, told in sums.items():
        content = (out / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == told
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert (out / "report.md").read_text(encoding="utf-8").startswith("# 个人信息访问审计报告")
    assert len(pypdf.PdfReader(out / "report.pdf").pages) > 3


def test_the_same_report_made_again_has_the_same_bytes(desk: Desk) -> None:
    for name in ("one", "two"):
        assert desk.run("--out", desk.folder / name, "--pdf") == EXIT_OK
    for file in ("report.json", "report.md", "report.pdf", "SHA256SUMS"):
        assert (desk.folder / "one" / file).read_bytes() == (desk.folder / "two" / file).read_bytes()


def test_the_log_is_told_who_why_how_many_and_of_which_file(desk: Desk) -> None:
    out = desk.folder / "q4"
    desk.run("--out", out, "--reason", "asked for by 13812345678", "--case", "AUD-9")
    [read] = desk.announcer.told
    assert desk.announcer.is_closed
    told = json.loads((out / "report.json").read_bytes())
    assert (read.look, read.account, read.channel, read.case_ref) == ("audit_report", "chen.shen", "api", "AUD-9")
    assert read.rows == 5 + len(told["parts"]["accounts"]["holders"])
    assert read.reason == told["parts"]["scope"]["reason"] == "asked for by 138****5678"
    assert read.fingerprint == hashlib.sha256((out / "report.json").read_bytes()).hexdigest()
    assert read.about == "2026-09-21T14:13:20Z/2026-10-03T04:00:00Z"


@pytest.mark.parametrize("words", [(), ("--json",), ("--out",)])
def test_nothing_is_seen_before_the_log_has_it_nor_where_it_cannot(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    out = desk.folder / "q4"
    words = (*words, str(out)) if "--out" in words else words
    seen: list[object] = []
    desk.announcer.seen_before = lambda: seen.append((capsys.readouterr().out, out.exists()))
    desk.announcer.is_away = True
    assert desk.run(*words) == EXIT_UNAVAILABLE
    assert seen == [("", False)]
    assert capsys.readouterr().out == ""
    assert not out.exists()
    desk.announcer.is_away = False
    assert desk.run(*words) == EXIT_OK
    assert seen[1:] == [("", False)]


def test_on_standard_output_it_is_text_or_json(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run() == EXIT_OK
    assert capsys.readouterr().out.startswith("# Audit report on access to personal data")
    assert desk.run("--json", "--seed", 9, "--samples", 3) == EXIT_OK
    told = json.loads(capsys.readouterr().out)
    assert (told["parts"]["sample"]["seed"], told["parts"]["sample"]["of_each_stratum"]) == ("9", 3)
    assert told["parts"]["statements"]["sample"]["parameters"]["seed"] == "9"


def test_holders_of_roles_stand_in_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    token_file(desk.office.state_dir, "zhou.min", "dpo")
    desk.run("--json")
    holders = json.loads(capsys.readouterr().out)["parts"]["accounts"]["holders"]
    assert {(one["name"], one["roles"]) for one in holders} >= {("zhou.min", "dpo"), ("chen.shen", "auditor")}


@pytest.mark.parametrize("role", ["operator", "soc", "responder", "analyst", "dpo", "admin"])
def test_only_an_auditor_makes_one(desk: Desk, role: str) -> None:
    assert desk.run(account=f"other.{role}", roles=(role,)) == EXIT_FORBIDDEN
    assert [(read.outcome, read.rows) for read in desk.announcer.told] == [("denied", 0)]
    assert desk.store.asked == []


def test_without_an_account_nothing_is_asked(desk: Desk) -> None:
    assert desk.run(account="") == EXIT_FORBIDDEN
    assert desk.store.asked == []


@pytest.mark.parametrize(
    "words",
    [
        ("--to", "2099-01-01"), ("--from", "2026-10-03T04:00:00+00:00"), ("--reason", "  "), ("--seed", "-1"),
        ("--samples", "51"), ("--pdf",), ("--lang", "fr"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_before_the_log_is_told(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk.run(*words) == EXIT_USAGE
    assert desk.announcer.told == []


def test_nothing_is_overwritten(desk: Desk) -> None:
    out = desk.folder / "q4"
    out.mkdir()
    assert desk.run("--out", out) == EXIT_USAGE
    assert desk.run("--out", desk.folder / "no" / "q4") == EXIT_USAGE
    assert list(out.iterdir()) == []
    assert desk.announcer.told == []


def test_one_person_takes_out_no_more_than_anywhere_else(desk: Desk) -> None:
    desk.store = Store(sample=[sampled(offset=number) for number in range(1_000)])
    assert desk.run() == EXIT_USAGE
    assert desk.announcer.told == []


def test_a_suspected_breach_stands_in_it_with_its_duties(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.office.run("breach", "suspect", desk.office.incident_id, "--known-at", "2026-11-18T10:00:00+00:00", "--why",
                    "an export nobody asked for", *desk.office.account("zhou.min", "dpo"))  # fmt: skip
    desk.store = Store(breaches=[{"incident": desk.office.incident_id, "state": "open", "verdict": ""}])
    capsys.readouterr()
    assert desk.run("--json") == EXIT_OK
    [clock] = json.loads(capsys.readouterr().out)["parts"]["breach_clocks"]
    assert clock["incident_id"] == desk.office.incident_id
    assert {one["duty"] for one in clock["duties"]} >= {"cn-pipl-57-authority", "cn-irm-4-other"}
    assert desk.run() == EXIT_OK
    assert "cn\\-pipl\\-57\\-authority" in capsys.readouterr().out


def test_exceptions_that_were_valid_in_the_period_stand_in_it(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    day_us = 86_400_000_000

    def made(reason: str, from_us: int, until_us: int) -> AlertException:
        return AlertException(
            scope={"actor_dept": "fraud"}, detectors=("bulk_export",), owner="ab" * 16, reason=reason,
            created_us=from_us, valid_from_us=from_us, valid_until_us=until_us, exception_id=reason,
        )  # fmt: skip

    begin_us, end_us = 1_790_000_000_000_000, 1_791_000_000_000_000
    known = (
        made("before", begin_us - 2 * day_us, begin_us), made("across", begin_us - day_us, begin_us + 1),
        made("within", begin_us + day_us, begin_us + 2 * day_us), made("after", end_us, end_us + day_us),
    )  # fmt: skip
    monkeypatch.setattr(report_gathering, "exceptions_of", lambda *_: known)
    desk.run("--json")
    told = json.loads(capsys.readouterr().out)["parts"]["exceptions"]
    assert [one["reason"] for one in told] == ["across", "within"]


def test_a_register_that_is_wrong_is_told_with_its_faults(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.audit import register_reading

    monkeypatch.setattr(report_gathering, "read_controls", lambda: register_reading.read_controls(desk.folder / "none"))
    assert desk.run() == EXIT_CONFIG
    assert "laws.toml cannot be read" in capsys.readouterr().err
    assert desk.announcer.told == []
