"""A look as an access event: valid on the wire, the same bytes for the same look, no more than it may say."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from pipeline.adapters.read_announcements import ReadAnnouncer
from pipeline.audit.reads import LOOKS, PAGE, Read, read_event
from pipeline.errors import Away
from pipeline.events import AccessEvent
from pipeline.privacy.masks import mask_text


def _read(**given: Any) -> Read:
    plain: dict[str, Any] = {
        "look": "search", "account": "lin.meng", "read_id": str(uuid.UUID(int=7)), "at_us": 1_795_000_000_123_456,
        "rows": 50,
    }  # fmt: skip
    return Read(**plain | given)


def _said(read: Read) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(read_event(read))
    return body


FULL: dict[str, Any] = {
    "about": "subject:" + "ab" * 16, "reason": "r" * 3000, "subject_ids": ("c-1", "c-2"), "unmasked": ("actor_id",),
    "fingerprint": "0f" * 32, "src_ip": "10.0.0.7", "case_ref": "C" * 300, "approval_ref": "A-1",
}  # fmt: skip


@pytest.mark.parametrize("look", [*LOOKS, "a page nobody has named"])
@pytest.mark.parametrize("given", [{}, FULL], ids=["bare", "full"])
def test_every_look_is_a_valid_access_event(look: str, given: dict[str, Any], wire_schema: Any) -> None:
    body = read_event(_read(look=look, **given))
    jsonschema.validate(json.loads(body), wire_schema)
    event = msgspec.json.decode(body, type=AccessEvent)
    assert (event.action, event.resource_type) == LOOKS.get(look, LOOKS[PAGE])
    assert event.event_time == "2026-11-18T11:06:40.123456Z"
    assert event.source_system == "accesstrail"


@pytest.fixture(scope="module")
def wire_schema(real_data: Path) -> Any:
    """The published schema, beside the folder of real records."""
    path = real_data.parent / "access-event.schema.json"
    if not path.is_file():
        pytest.skip("the wire schema is not here")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_same_look_has_the_same_bytes_and_another_id_other_ones() -> None:
    assert read_event(_read(**FULL)) == read_event(_read(**FULL))
    assert read_event(_read()) != read_event(_read(read_id=str(uuid.UUID(int=8))))


def test_pages_of_daily_work_name_no_action_that_questions_about_somebody_have() -> None:
    actions = {name: look.action for name, look in LOOKS.items()}
    assert {name for name, action in actions.items() if action == "audit_query"} == {
        "search",
        "actor",
        "subject",
        "sql",
        "masked",
    }
    exports = {name for name, action in actions.items() if action == "audit_export"}
    assert exports == {"export", "incident_export", "audit_report", "subject_report"}
    assert [name for name, action in actions.items() if action == "unmask"] == ["reveal"]


@pytest.mark.parametrize(("address", "said"), [("127.0.0.1", None), ("::1", None), ("10.0.0.7", "10.0.0.7"),
                                               ("testclient", None), ("", None)])  # fmt: skip
def test_an_address_is_told_only_where_it_says_where_somebody_is(address: str, said: str | None) -> None:
    assert _said(_read(src_ip=address)).get("src_ip") == said


def test_no_digest_is_masked_on_its_way_and_each_can_be_told_from_the_other() -> None:
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5000)]
    said = [_said(_read(fingerprint=digest))["query_fingerprint"] for digest in digests]
    assert all(mask_text(one) == one for one in said)
    assert [one.translate(str.maketrans("ghijklmnop", "0123456789")) for one in said] == digests


class Sender:
    """Takes records; `is_away`: acknowledges nothing."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_away, self.tries = False, 0

    def send(self, key: bytes, value: bytes) -> None:
        self.sent.append(value)

    def flush(self) -> None:
        self.tries += 1
        if self.is_away:
            raise Away("Kafka does not answer", code="kafka_away")

    def close(self) -> None:
        pass


def test_while_kafka_is_away_one_look_tries_and_the_others_are_refused_at_once() -> None:
    sender = Sender()
    sender.is_away = True
    announcer = ReadAnnouncer(sender, retry_after_s=3600)
    for _ in range(5):
        with pytest.raises(Away):
            announcer.tell(_read())
    assert sender.tries == 1


def test_after_the_pause_looks_are_told_again() -> None:
    sender = Sender()
    sender.is_away = True
    announcer = ReadAnnouncer(sender, retry_after_s=0)
    with pytest.raises(Away):
        announcer.tell(_read())
    sender.is_away = False
    announcer.tell(_read())
    announcer.tell(_read())
    assert sender.tries == 3
