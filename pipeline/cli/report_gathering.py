"""Collects the facts of an audit report: statements of the register, breach clocks, exceptions, holders of roles.

Place in the flow: below `report.py`. The store is read as the role reader, accounts from their file; nothing is shown
here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from detectors.exceptions import AlertException
from pipeline.adapters.accounts import open_accounts
from pipeline.adapters.audit_reading import AuditReader
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.reader_pool import Questions
from pipeline.adapters.versions_reading import VersionsReader
from pipeline.audit.register_reading import read_controls
from pipeline.audit.report import ReportFacts, Scope, moment
from pipeline.cli.incident_clock import clock_document, view_of
from pipeline.cli.incident_desk import open_desk
from pipeline.config import Settings
from pipeline.version_sets.exceptions import exceptions_of

Documents = list[dict[str, Any]]


def gathered(settings: Settings, scope: Scope) -> ReportFacts:
    """The facts as they stand now. Raises: Away; StoreRefused; ConfigError: the register or [operator] is wrong."""
    register = read_controls()
    with _reader(settings) as reader:
        answers = AuditReader(reader).answers(register.queries, scope)
        exceptions = _exceptions(VersionsReader(reader, scope.topic), scope)
    incidents = [str(row["incident"]) for row in answers["breaches"].named]
    return ReportFacts(
        scope=scope, register=register, answers=answers, exceptions=exceptions, accounts=_accounts(settings),
        breaches=_breaches(settings, incidents) if incidents else [],
    )  # fmt: skip


@contextmanager
def _reader(settings: Settings) -> Iterator[Questions]:
    with closing(connect(settings.clickhouse, "reader")) as reader:
        yield reader


def _breaches(settings: Settings, incidents: list[str]) -> Documents:
    """The clock of every incident where a breach is suspected."""
    with open_desk(settings) as desk:
        views = [view_of(desk, desk.incident(one)) for one in incidents]
    return [clock_document(view) for view in views if view.is_suspected]


def _exceptions(versions: VersionsReader, scope: Scope) -> Documents:
    """Of the set in force at the period's end those that were valid at some time in it."""
    history, _ = versions.history()
    at_end = [one for one in history if one.activated_at_us < scope.to_us]
    present = exceptions_of(versions, at_end[-1] if at_end else None)
    return [
        _exception(one) for one in present if one.valid_from_us < scope.to_us and one.valid_until_us > scope.from_us
    ]


def _exception(one: AlertException) -> dict[str, Any]:
    return {
        "id": one.exception_id, "scope": "; ".join(f"{name} {value}" for name, value in sorted(one.scope.items())),
        "detectors": "; ".join(one.detectors), "owner": one.owner, "reason": one.reason,
        "valid_from": moment(one.valid_from_us), "valid_until": moment(one.valid_until_us),
    }  # fmt: skip


def _accounts(settings: Settings) -> Documents:
    """Every account, its roles, its state."""
    with open_accounts(settings.state_dir) as accounts:
        found = accounts.all()
    return [{"name": one.name, "roles": "; ".join(sorted(one.roles)), "state": one.state} for one in found]
