"""What `train --exclude` reads, and which events it names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.timestamps import utc_us
from pipeline.training_exclusions import UNSAID, Exclusions, parse_exclusions, read_exclusions

FROM, TO = "2026-11-02T00:00:00+08:00", "2026-11-05T00:00:00+08:00"


def _why(exclusions: Exclusions, *events: tuple[str, str, str]) -> list[str | None]:
    ids, actors, times = ([one[place] for one in events] for place in range(3))
    return exclusions.why(ids, actors, np.array([utc_us(time) for time in times], np.int64))


def test_ids_stand_alone_several_a_line_or_as_objects() -> None:
    found = parse_exclusions(["e1", "", "  e2 e3 ", '{"event_id": "e4", "why": "true_positive"}', '{"event_id": "e5"}'])
    assert dict(found.event_ids) == {"e1": UNSAID, "e2": UNSAID, "e3": UNSAID, "e4": "true_positive", "e5": UNSAID}
    assert found.periods == ()


def test_a_disputed_period_is_of_one_account_from_its_first_instant_to_before_its_last() -> None:
    found = parse_exclusions([json.dumps({"actor_id": "li", "from": FROM, "to": TO, "why": "disputed"})])
    assert _why(
        found, ("a", "li", FROM), ("b", "li", TO), ("c", "wu", FROM), ("d", "li", "2026-11-01T15:59:59.999999Z"),
        ("e", "li", "2026-11-04T15:59:59.999999Z"),
    ) == ["disputed", None, None, None, "disputed"]  # fmt: skip


def test_a_period_of_everybody_names_no_account_and_an_events_own_line_goes_first() -> None:
    lines = ['{"event_id": "a", "why": "true_positive"}', json.dumps({"from": FROM, "to": TO, "why": "migration"})]
    assert _why(parse_exclusions(lines), ("a", "li", FROM), ("b", "wu", FROM), ("c", "wu", TO)) == [
        "true_positive", "migration", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "no JSON object"),
        ('{"event_id": "li.wei.secret"', "no JSON object"),
        ('{"actor_id": "li.wei.secret"}', "must hold"),
        ('{"actor_id": "li.wei.secret", "from": "2026-11-02T00:00:00Z"}', "must hold"),
        ('{"event_id": "li.wei.secret", "from": "x", "to": "y"}', "must hold"),
        ('{"event_id": "li.wei.secret", "comment": "x"}', "must hold"),
        ('{"why": "true_positive"}', "must hold"),
        ('{"event_id": 7}', "must be texts"),
        ('{"event_id": ""}', "must be texts"),
        ('{"event_id": "li.wei.secret", "why": "Li Wei did it"}', "one word"),
        ('{"event_id": "li.wei.secret", "why": 7}', "one word"),
        ('{"from": "2026-11-02", "to": "2026-11-03"}', "RFC 3339"),
        ('{"from": "2026-11-02T00:00:00", "to": "2026-11-03T00:00:00"}', "RFC 3339"),
        ('{"from": "2026-11-03T00:00:00Z", "to": "2026-11-03T00:00:00Z"}', "from must come before"),
        ('{"a":' * 100_000, "no JSON object"),
    ],
)
def test_a_wrong_line_is_named_by_number_and_never_quoted(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_exclusions(["e1", line])
    assert "line 2" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_every_wrong_line_is_named_the_first_twenty_of_them() -> None:
    with pytest.raises(UsageError) as caught:
        parse_exclusions(["{"] * 25)
    assert "line 20" in str(caught.value)
    assert "line 21" not in str(caught.value)
    assert "5 more" in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_exclusions(tmp_path / "absent")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        read_exclusions(tmp_path / "bytes")
    (tmp_path / "good").write_text("e1\n", encoding="utf-8")
    assert dict(read_exclusions(tmp_path / "good").event_ids) == {"e1": UNSAID}
