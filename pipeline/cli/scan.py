"""`accesstrail scan`: looks for identifiers in everything that is at rest; what a nightly leak check runs.

Place in the flow: beside it. Says places and numbers, never an identifier: the report may be sent to anybody.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click

from pipeline.adapters.leak_sources import Source, file_sources, table_sources, topic_sources
from pipeline.cli.options import settings_options
from pipeline.config import Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.privacy.leaks import Finder, Hit, IdentifierFinder, PatternFinder, search


@dataclass(frozen=True, slots=True)
class Leak:
    """One form of one identifier in one place."""

    place: str
    hit: Hit
    count: int


@click.command("scan")
@click.option("--identifiers", metavar="FILE", help="One identifier a line; - reads them from standard input.")
@click.option("--also", multiple=True, type=click.Path(path_type=Path, exists=True), help="Another file or folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding on standard output.")
@settings_options
def scan_command(settings: Settings, identifiers: str | None, also: tuple[Path, ...], *, as_json: bool) -> int:
    """Look for identifiers in tables, the store's own logs, topics, logs, snapshots, exports and files.

    With identifiers: raw, UTF-16, GB 18030, JSON and URL escapes, hex, base64 in all three alignments, and numbers with
    fewer than four digits masked. Without: whatever looks like a mobile number, an identity number, a bank card, a
    passport or an e-mail address. The topic of access events, the directory, keys and secrets are left out. A finding
    names the place and the identifier's line, never the identifier.

    \b
    Examples:
      some-export-of-the-crm | accesstrail scan --identifiers - --state ./state
      accesstrail scan --config /etc/accesstrail/config.toml --also /srv/exports --json

    Exit codes: 0 nothing found, 1 found, 2 wrong use, 69 store or broker unreachable.
    """
    finder = _finder(identifiers)
    sources = chain(
        table_sources(settings, texts_only=isinstance(finder, PatternFinder)), topic_sources(settings),
        file_sources(settings.state_dir, also),
    )  # fmt: skip
    leaks = places = 0
    for source in sources:
        places += 1
        for leak in _leaks(finder, source):
            leaks += 1
            click.echo(_told(leak, as_json=as_json))
    click.echo(f"{places} place(s) searched, {leaks} finding(s)", err=True)
    return EXIT_DIFFERENCES if leaks else EXIT_OK


def _leaks(finder: Finder, source: Source) -> Iterator[Leak]:
    found = search(finder, source.chunks)
    for hit, count in sorted(found.items(), key=lambda one: (one[0].number, one[0].form)):
        yield Leak(source.place, hit, count)


def _told(leak: Leak, *, as_json: bool) -> str:
    if as_json:
        body = {"place": leak.place, "identifier": leak.hit.number or None, "form": leak.hit.form, "count": leak.count}
        return json.dumps(body, ensure_ascii=False)
    what = f"identifier {leak.hit.number}" if leak.hit.number else "pattern"
    return f"{leak.place}: {what}, {leak.hit.form}, {leak.count} time(s)"


def _finder(identifiers: str | None) -> Finder:
    """Raises: UsageError: the file cannot be read, or holds none."""
    if identifiers is None:
        return PatternFinder()
    try:
        text = sys.stdin.read() if identifiers == "-" else Path(identifiers).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError("the file of identifiers cannot be read as UTF-8 text") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UsageError("there is no identifier to look for")
    return IdentifierFinder(lines)
