"""A file as it comes, with bad lines, repetitions and in no order, is judged as its good lines in order are."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.policy import NEVER, Policy
from pipeline.cli.offline import _score_line
from pipeline.offline import EventFile, OfflineChain, Score, read_events, score_events
from pipeline.privacy.keys import Keyring
from pipeline.sources.records import MAX_LINE_BYTES
from pipeline.stages.decode import RUN_VALUES, decode_valid, decode_values
from tests.corpus.make_poison import VALID, event, poison, text
from tests.unit.detectors.alerts import TIME_ZONE, company

RECEIVED_AT_US = 4_102_444_800_000_000
EVENTS = 3 * RUN_VALUES + 77
POISON = [one for one in poison() if one.value and b"\n" not in one.value and one.value.rstrip(b"\r\n") == one.value]
BAD = [(one.value or b"", one.expected) for one in POISON if one.expected not in (VALID, "time_out_of_range")]


def some_lines() -> list[bytes]:
    return list(company().rest.lines[:EVENTS])


def with_other_content(line: bytes) -> bytes:
    """The same id on another event of another time."""
    return text({**json.loads(line), "event_time": "2024-05-06T10:15:30Z", "actor_id": "somebody.else"})


def dirty_file(path: Path) -> tuple[list[bytes], list[tuple[str, int, str]]]:
    """Writes a file of good lines in no order, and everything else between them; the good ones and the bad ones."""
    drawn, lines = random.Random(7), some_lines()
    drawn.shuffle(lines)
    written: list[tuple[bytes, str]] = [(line, "") for line in lines]
    for line in lines[::40]:  # behind the first of its id, or before it but invalid
        written.append((with_other_content(line), ""))
        written.insert(0, (line.replace(b'"schema_version":1', b'"schema_version":2'), "schema_version"))
    for value, reason in (*BAD, (b"x" * (MAX_LINE_BYTES + 1), "tombstone")):
        written.insert(drawn.randrange(len(lines)), (value, reason))
    path.write_bytes(b"\n".join(value for value, _ in written) + b"\n")
    return lines, [(str(path), number, reason) for number, (_, reason) in enumerate(written, start=1) if reason]


def test_bad_lines_are_named_in_their_order_and_the_first_good_line_of_an_id_stays(tmp_path: Path) -> None:
    lines, faults = dirty_file(tmp_path / "dirty.ndjson")
    for order in ("event-time", "input"):
        read = read_events([str(tmp_path / "dirty.ndjson")], order=order)
        assert read.faults == faults
        assert set(read.lines) == set(lines)
        assert len(read) == len(lines)
        assert read.ids == [json.loads(line)["event_id"] for line in read.lines]
    assert {reason for _, _, reason in faults} >= {"too_large", "bad_json", "unknown_field", "bad_time", "tombstone"}


def test_a_dirty_file_in_no_order_scores_as_its_good_lines_in_order(tmp_path: Path) -> None:
    dirty_file(tmp_path / "dirty.ndjson")
    (tmp_path / "clean.ndjson").write_bytes(b"\n".join(some_lines()))
    made = company()
    found = [
        score_events(
            read_events([str(tmp_path / name)]), None, made.directory, Keyring.offline(), made.model, TIME_ZONE,
            budget_per_day=budget,
        )
        for name in ("dirty.ndjson", "clean.ndjson")
        for budget in (None, 20.0)
    ]  # fmt: skip
    for dirty, clean in zip(found[:2], found[2:], strict=True):
        assert clean.alerts
        assert (dirty.alerts, dirty.threshold, list(dirty.scores)) == (
            clean.alerts,
            clean.threshold,
            list(clean.scores),
        )


def test_a_judged_batch_says_what_its_events_said_whatever_its_size() -> None:
    made, lines = company(), some_lines()
    events = EventFile(lines, made.rest.time_us[: len(lines)], made.rest.ids[: len(lines)])
    expected = [tuple(json.loads(line)[name] for name in ("event_id", "event_time", "actor_id")) for line in lines]
    for size in (100, RUN_VALUES, RUN_VALUES + 1, EVENTS):
        chain = OfflineChain(made.directory, Keyring.offline(), made.model, Policy(NEVER), TIME_ZONE)
        assert [said for one in chain.run(events, batch=size) for said in one.given] == expected


def test_what_was_found_valid_decodes_the_same_again() -> None:
    values = [one.value for one in poison() if one.value and one.expected == VALID]
    values += [text(event("capitals", event_id="ABCDEF01-2345-4789-ABCD-EF0123456789"))]
    first = decode_values(values, np.full(len(values), RECEIVED_AT_US))
    assert not first.rejected
    again = decode_valid(values, first.event_time_us)
    assert again.events == first.events
    assert again.rows.tolist() == first.rows.tolist()
    assert again.event_time_us.tolist() == first.event_time_us.tolist()
    plain = [text(event(str(number))) for number in range(3)]
    of_plain = decode_values(plain, np.full(3, RECEIVED_AT_US))
    assert decode_valid(plain, of_plain.event_time_us).fields == of_plain.fields


@given(st.integers(0, 1_000_000), st.integers(0, 10_000), st.lists(st.text(max_size=9), max_size=4))
def test_a_score_is_written_as_the_standard_library_writes_it(anomaly: int, risk: int, reasons: list[str]) -> None:
    event_id = str(event("score")["event_id"])
    score = Score(event_id, anomaly / 1e6, risk / 100, tuple(reasons))
    row = {"event_id": event_id, "anomaly_score": score.anomaly_score, "risk": score.risk, "reasons": reasons}
    assert _score_line(score) == json.dumps(row, ensure_ascii=False, separators=(",", ":"))
