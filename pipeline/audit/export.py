"""Accesses as a file that leaves the house: CSV for spreadsheets, JSON Lines for programs.

Place in the flow: made from a search's answer; its SHA-256 goes into the access event of the export, so that anybody
can check later that a file is the one that was handed out. Spreadsheets run what begins with = + - @, a tab or a line
end (CWE-1236, OWASP "CSV Injection"), also after blanks and in full-width form: such cells get an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from pipeline.audit.search import ROW_FIELDS, AccessRow
from pipeline.errors import UsageError

MOST_EXPORTED = 999
"""Rows one person may take out at once; from a thousand on it takes two people, and the rule auditor_abuse holds."""
CSV, JSON_LINES = "csv", "jsonl"
FORMATS = {CSV: "text/csv; charset=utf-8", JSON_LINES: "application/x-ndjson"}
"""Name to media type (RFC 4180; NDJSON)."""
_STARTS = frozenset("=+-@\t\r\n＝＋－＠")
# Spreadsheets take a file for UTF-8 by this mark only.
_MARK = "\ufeff"


def harmless(text: str) -> str:
    """A cell that no spreadsheet runs."""
    first = text.lstrip(" \u00a0\u3000")[:1]
    return f"'{text}" if first in _STARTS and first else text


def exported(rows: Sequence[AccessRow], form: str) -> bytes:
    """The file. Raises: UsageError: there is no such format."""
    makers: dict[str, Callable[[Sequence[AccessRow]], bytes]] = {CSV: _csv, JSON_LINES: _json_lines}
    if form not in makers:
        raise UsageError("there is no such format", code="bad_field")
    return makers[form](rows)


def _csv(rows: Sequence[AccessRow]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = [_named(name) for name in ROW_FIELDS]
    writer.writerow(names)
    for row in rows:
        plain = _plain(row)
        writer.writerow([_cell(plain[name]) for name in names])
    return (_MARK + out.getvalue()).encode()


def _cell(value: object) -> str:
    """Numbers are ours and stay as they are, -1 for "not said" is empty; texts of others are made harmless."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return "" if value == -1 else str(value)
    if isinstance(value, list | tuple):
        return harmless("; ".join(str(one) for one in value))
    return harmless(str(value))


def _json_lines(rows: Sequence[AccessRow]) -> bytes:
    return "".join(json.dumps(_plain(row), ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def _named(name: str) -> str:
    return {"event_time_us": "event_time", "received_us": "received_at"}.get(name, name)


def _plain(row: AccessRow) -> dict[str, object]:
    """Times as ISO 8601 in UTC, risk as 0–100."""
    plain = {_named(name): value for name, value in asdict(row).items()}
    for name in ("event_time", "received_at"):
        moment = datetime.fromtimestamp(int(plain[name]) / 1_000_000, UTC)
        plain[name] = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return plain | {"risk": row.risk / 100}
