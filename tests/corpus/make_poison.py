"""The poison corpus: named records that are hostile, broken or just at the edge, each with what must become of it.

`poison()` gives them; run as a script it writes them as NDJSON with key and value in base64, because most values are
no lines of text: `python -m tests.corpus.make_poison FILE`. All are made here, none is a copy of a real record. Times
lie in 2024, so that the records are valid or not whatever the day they are sent on.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

_NAMESPACE = UUID("5f1f0a5e-63a6-4a43-9d51-3c1f6f0c2a77")
LIMIT_BYTES = 921_600  # the wire format's bound, 900 KiB
VALID = "valid"


@dataclass(frozen=True, slots=True)
class Poison:
    """One Kafka record and its fate: a reason code, or `valid`."""

    name: str
    key: bytes | None
    value: bytes | None
    expected: str


def event(name: str, **fields: Any) -> dict[str, Any]:
    """A valid event with an id of its own (from `name`); `fields` replace or, where `...`, remove."""
    base: dict[str, Any] = {
        "schema_version": 1,
        "event_id": str(uuid5(_NAMESPACE, name)),
        "event_time": "2024-05-06T10:15:30.123+08:00",
        "source_system": "crm",
        "channel": "ui",
        "action": "read",
        "outcome": "success",
        "actor_id": "poison.actor",
        "actor_type": "employee",
        "resource_type": "customer_profile",
        "resource_id": "c-18823",
    }
    base.update(fields)
    return {field: value for field, value in base.items() if value is not ...}


def text(fields: dict[str, Any]) -> bytes:
    """An event as compact JSON in UTF-8."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _changed(name: str, expected: str, **fields: Any) -> Poison:
    return Poison(name, b"poison.actor", text(event(name, **fields)), expected)


def _spliced(name: str, expected: str, old: bytes, new: bytes) -> Poison:
    """A valid event with bytes replaced that no JSON library would write."""
    value = text(event(name, justification="MARK"))
    assert old in value, name
    return Poison(name, b"poison.actor", value.replace(old, new), expected)


def _with_raw(name: str, expected: str, raw: bytes) -> Poison:
    """A valid event with one more member, given as raw bytes."""
    return Poison(name, b"poison.actor", text(event(name))[:-1] + b"," + raw + b"}", expected)


def _sized(name: str, expected: str, size_bytes: int) -> Poison:
    """An event with 10,000 subjects, filled up with white space to exactly `size_bytes`."""
    subjects = [f"c-{number:05}-".ljust(86, "x") for number in range(10_000)]
    value = text(event(name, action="export", subject_ids=subjects, subject_count=len(subjects)))
    return Poison(name, b"poison.actor", value.ljust(size_bytes), expected)


def poison() -> list[Poison]:
    """The corpus, in a fixed order; names are unique."""
    return [record for part in _PARTS for record in part()]


def _sizes() -> Iterator[Poison]:
    yield Poison("tombstone", b"poison.actor", None, "tombstone")
    yield Poison("tombstone without key", None, None, "tombstone")
    yield Poison("no bytes", b"poison.actor", b"", "empty")
    yield Poison("only white space", b"poison.actor", b" \t\r\n" * 100, "empty")
    yield Poison("one NUL byte", b"poison.actor", b"\0", "bad_json")
    yield _sized("exactly 900 KiB", VALID, LIMIT_BYTES)
    yield _sized("one byte above 900 KiB", "too_large", LIMIT_BYTES + 1)
    yield _sized("just under the broker's usual limit", "too_large", 1_000_000)
    yield Poison("900 KiB of opening brackets", b"poison.actor", b"[" * LIMIT_BYTES, "too_deep")
    yield Poison("900 KiB of colons", b"poison.actor", b":" * LIMIT_BYTES, "bad_json")
    yield Poison(
        "900 KiB of backslashes in a text", b"poison.actor", b'"' + b"\\" * (LIMIT_BYTES - 3) + b'"', "bad_json"
    )
    members = b",".join(b'"k%06d":0' % number for number in range(70_000))
    yield Poison("70,000 unknown fields", b"poison.actor", b"{" + members + b"}", "unknown_field")


def _keys() -> Iterator[Poison]:
    yield Poison("no key", None, text(event("no key")), VALID)
    yield Poison("empty key", b"", text(event("empty key")), VALID)
    yield Poison("key of another actor", b"somebody.else", text(event("key of another actor")), VALID)
    yield Poison("key is no UTF-8", b"\xff\xfe", text(event("key is no UTF-8")), VALID)


def _syntax() -> Iterator[Poison]:
    whole = text(event("syntax"))
    for name, value, expected in (
        ("cut in the middle", whole[:120], "bad_json"),
        ("last brace missing", whole[:-1], "bad_json"),
        ("text after the end", whole + b" x", "bad_json"),
        ("two events in one record", whole + b"\n" + whole, "bad_json"),
        ("byte order mark", b"\xef\xbb\xbf" + whole, "bad_json"),
        ("trailing comma", whole[:-1] + b",}", "bad_json"),
        ("single quotes", whole.replace(b'"', b"'"), "bad_json"),
        ("comment", b"/* hello */" + whole, "bad_json"),
        ("UTF-16", whole.decode().encode("utf-16"), "bad_utf8"),
        ("not JSON at all", b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "bad_json"),
        ("null", b"null", "wrong_type"),
        ("number", b"42", "wrong_type"),
        ("list of events", b"[" + whole + b"]", "wrong_type"),
        ("event inside a text", json.dumps(whole.decode()).encode(), "wrong_type"),
        ("empty object", b"{}", "missing_field"),
    ):
        yield Poison(name, b"poison.actor", value, expected)
    for name, raw in (
        ("NaN", b'"records_returned":NaN'),
        ("Infinity", b'"records_returned":-Infinity'),
        ("leading zero", b'"records_returned":01'),
        ("hexadecimal number", b'"records_returned":0x10'),
        ("bare control character", b'"purpose":"a\x01b"'),
        ("bare line feed in a text", b'"purpose":"a\nb"'),
        ("unknown escape", b'"purpose":"\\x41"'),
    ):
        yield _with_raw(name, "bad_json", raw)


def _depth() -> Iterator[Poison]:
    for name, raw in (
        ("100,000 lists deep", b'"attrs":' + b"[" * 100_000 + b"]" * 100_000),
        ("100,000 objects deep", b'"attrs":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        ("100,000 lists deep in an unknown field", b'"x":' + b"[" * 100_000 + b"]" * 100_000),
        ("33 levels", b'"attrs":' + b"[" * 32 + b"]" * 32),
    ):
        yield _with_raw(name, "too_deep", raw)
    yield _with_raw("32 levels", "wrong_type", b'"attrs":' + b"[" * 31 + b"]" * 31)
    yield _with_raw("brackets in a text", VALID, b'"justification":"' + b"[{" * 500 + b'"')


def _characters() -> Iterator[Poison]:
    yield _spliced("broken UTF-8 in a text", "bad_utf8", b"MARK", b"\xff\xfe")
    yield _spliced("overlong UTF-8", "bad_utf8", b"MARK", b"\xc0\x80")
    yield _spliced("surrogate in UTF-8", "bad_utf8", b"MARK", b"\xed\xa0\x80")
    yield _spliced("above U+10FFFF in UTF-8", "bad_utf8", b"MARK", b"\xf4\x90\x80\x80")
    yield _spliced("broken UTF-8 in a key", "bad_utf8", b"justification", b"justif\xe9cation")
    yield _spliced("high surrogate alone", "lone_surrogate", b"MARK", b"a\\ud83d")
    yield _spliced("low surrogate alone", "lone_surrogate", b"MARK", b"\\ude00a")
    yield _spliced("surrogates in the wrong order", "lone_surrogate", b"MARK", b"\\ude00\\ud83d")
    yield _spliced("surrogate pair", VALID, b"MARK", b"\\ud83d\\ude00")
    yield _spliced("NUL in an identifier", "nul_character", b"c-18823", b"c-18823\\u0000root")
    yield _spliced("NUL in free text", "nul_character", b"MARK", b"\\u0000")
    yield _spliced("NUL after an escaped backslash", "nul_character", b"MARK", b"\\\\\\u0000")
    yield _spliced("backslash before u0000", VALID, b"MARK", b"\\\\u0000")
    yield _spliced("NUL in a key", "unknown_field", b"justification", b"justification\\u0000")
    yield _with_raw("NUL in the key of an attribute", "nul_character", b'"attrs":{"\\u0000":"x"}')


def _hostile_text() -> Iterator[Poison]:
    """Text that attacks terminals, spreadsheets, browsers, loggers and readers: valid, to be stored as it is."""
    for name, hostile in (
        ("ANSI escapes", "\x1b[2J\x1b]0;owned\x07"),
        ("right-to-left override", "invoice\u202efdp.exe"),
        ("zero-width characters", "ad\u200bmin\u200d\ufeff"),
        ("homoglyphs", "аdmin"),
        ("decomposed accents", "e\u0301cole"),
        ("composed accents", "\u00e9cole"),
        ("a thousand combining marks", "a" + "\u0301" * 255),
        ("spreadsheet formula", "=cmd|' /C calc'!A1"),
        ("spreadsheet formula with plus", '+HYPERLINK("http://example.com")'),
        ("script tag", "<script>alert(1)</script>"),
        ("event handler", '" onmouseover="alert(1)'),
        ("JNDI lookup", "${jndi:ldap://example.com/a}"),
        ("template expression", "{{7*7}}${7*7}#{7*7}"),
        ("format string", "%s%n%x {0.__class__}"),
        ("SQL", "'; DROP TABLE access_events; --"),
        ("path", "../../../../etc/passwd"),
        ("CRLF", "a\r\nSet-Cookie: x=y\r\n\r\n"),
        ("line separators", "a\u2028b\u2029c\u0085d"),
        ("mention", "<!channel> @all"),
        ("delete character", "\x7f"),
        ("private use and noncharacters", "\ue000\uffff\U0010ffff"),
        ("emoji", "👩‍👩‍👧‍👦"),
        ("quotation mark and colon", 'x":"y"'),
        ("word null", "null"),
        ("tab separated", "a\tb\\N"),
    ):
        yield _changed(name, VALID, resource_id=hostile, justification=hostile, fields_accessed=[hostile[:128]])
    yield _changed("spaces as an id", VALID, resource_id=" ")


def _fields() -> Iterator[Poison]:
    yield _changed("unknown field", "unknown_field", note="x")
    yield _changed("unknown field with a known name's case", "unknown_field", Actor_id="x")
    yield _changed("Kafka offset in the payload", "unknown_field", offset=-1)
    yield _changed("prototype", "unknown_field", __proto__={"admin": "1"})
    for required in ("schema_version", "event_id", "event_time", "actor_id", "resource_id"):
        yield _changed(f"no {required}", "missing_field", **{required: ...})
    for name, fields in (
        ("null in a required field", {"actor_id": None}),
        ("null in an optional field", {"purpose": None}),
        ("null in a list", {"subject_ids": [None]}),
        ("number for a text", {"actor_id": 7}),
        ("text for a number", {"records_returned": "7"}),
        ("fraction for an integer", {"records_returned": 1.5}),
        ("integer written as a fraction", {"records_returned": 1.0}),
        ("number for a flag", {"mfa": 1}),
        ("flag for a number", {"sensitivity": True}),
        ("text for a list", {"subject_ids": "c-1"}),
        ("object for a list", {"subject_ids": {"0": "c-1"}}),
        ("list for an object", {"attrs": []}),
        ("object in an attribute", {"attrs": {"a": {"b": "c"}}}),
        ("time as a number", {"event_time": 1714961730}),
        ("schema_version as a text", {"schema_version": "1"}),
    ):
        yield _changed(name, "wrong_type", **fields)
    yield from _words()


def _words() -> Iterator[Poison]:
    for version in (0, 2, 999, -1):
        yield _changed(f"schema version {version}", "schema_version", schema_version=version)
    yield _changed("unknown channel", "bad_word", channel="fax")
    yield _changed("action in capitals", "bad_word", action="READ")
    yield _changed("empty outcome", "bad_word", outcome="")
    yield _changed("unknown flag of subjects", "bad_word", subject_flags=["vip", "rich"])


def _bounds() -> Iterator[Poison]:
    for name, fields in (
        ("empty actor", {"actor_id": ""}),
        ("actor of 257 characters", {"actor_id": "x" * 257}),
        ("negative count", {"records_returned": -1}),
        ("count above 63 bits", {"records_returned": 2**63}),
        ("count above 64 bits", {"bytes_out": 99999999999999999999}),
        ("status 600", {"http_status": 600}),
        ("sensitivity 0", {"sensitivity": 0}),
        ("country in small letters", {"src_country": "cn"}),
        ("country with a line feed", {"src_country": "CN\n"}),
        ("10,001 subjects", {"subject_ids": [f"c-{number}" for number in range(10_001)]}),
        ("33 attributes", {"attrs": {f"k{number}": "v" for number in range(33)}}),
        ("nine flags", {"subject_flags": ["vip"] * 9}),
        ("100,000 characters of user agent", {"user_agent": "Mozilla/5.0 " * 9_000}),
    ):
        yield _changed(name, "out_of_bounds", **fields)
    yield _with_raw("integer of 5,000 digits", "out_of_bounds", b'"records_returned":' + b"9" * 5000)
    yield _with_raw("1e999", "out_of_bounds", b'"records_returned":1e999')
    yield _with_raw("1e-999", "wrong_type", b'"records_returned":1e-999')
    yield _changed("largest count", VALID, records_returned=2**63 - 1, bytes_out=0)
    yield _changed("256 characters of four bytes", VALID, actor_id="😀" * 256)


def _duplicates() -> Iterator[Poison]:
    name = "duplicate key"
    yield _with_raw("duplicate key", "duplicate_key", b'"actor_id":"innocent"')
    yield _with_raw("duplicate key with the same value", "duplicate_key", b'"actor_id":"poison.actor"')
    yield _with_raw("duplicate key after a space", "duplicate_key", b'"actor_id" :"innocent"')
    yield _with_raw("duplicate key written with escapes", "duplicate_key", b'"actor\\u005fid":"innocent"')
    yield _with_raw("duplicate key in attributes", "duplicate_key", b'"attrs":{"a":"1","a":"2"}')
    yield _with_raw("duplicate tenant", "duplicate_key", b'"tenant_id":"default","tenant_id":"other"')
    raw = b'"purpose" :"x","purpose":"y","case_ref"\n:"\\":","justification":":"'
    yield _with_raw("duplicate key hidden behind colons", "duplicate_key", raw)
    yield Poison(
        "white space everywhere",
        b"poison.actor",
        json.dumps(event(name + " spaced", attrs={"a": "b"}), indent="\t", separators=(" \n, ", " \r\n: ")).encode(),
        VALID,
    )


def _identity() -> Iterator[Poison]:
    for bad in (
        "",
        "7",
        "00000000000000000000000000000000",
        "{0192f3c4-7a31-7cc2-9d50-2b4f6f0f8a11}",
        "urn:uuid:0192f3c4-7a31-7cc2-9d50-2b4f6f0f8a11",
        "0192f3c4-7a31-7cc2-9d50-2b4f6f0_8a11",
        "０192f3c4-7a31-7cc2-9d50-2b4f6f0f8a11",
        "0192f3c4-7a31-7cc2-9d50-2b4f6f0f8a1g",
        "0192f3c4a7a31-7cc2-9d50-2b4f6f0f8a11",
    ):
        yield _changed(f"id {bad!r}", "bad_uuid", event_id=bad)
    yield _changed("nil id", VALID, event_id="00000000-0000-0000-0000-000000000000")
    same = str(uuid5(_NAMESPACE, "same id"))
    yield _changed("id sent first", VALID, event_id=same, resource_id="c-1")
    yield _changed("id sent again in capitals with other content", VALID, event_id=same.upper(), resource_id="c-2")


def _times() -> Iterator[Poison]:
    for bad in (
        "", "yesterday", "2024-05-06", "2024-05-06T10:15:30", "2024-05-06 10:15:30Z", "2024-05-06T10:15Z",
        "2024-05-06T10:15:30+0800", "2024-05-06T10:15:30+08", "2024-05-06T24:00:00Z", "2024-05-06T10:15:60Z",
        "2016-12-31T23:59:60Z", "2024-02-30T10:15:30Z", "2023-02-29T10:15:30Z", "2024-05-06T10:15:30+24:00",
        "2024-05-06T10:15:30,5Z", "2024-05-06T10:15:30.Z", "12024-05-06T10:15:30Z", "2024-05-06T10:15:30Z\n",
        "٢٠٢٤-05-06T10:15:30Z", "0000-05-06T10:15:30Z", "2024-W19-1T10:15:30Z",
        "2024-05-06T10:15:30+08.00", "2024-05-06T10:15:30*08:00",
    ):  # fmt: skip
        yield _changed(f"time {bad!r}", "bad_time", event_time=bad)
    for far in ("1999-12-31T23:59:59.999999Z", "2000-01-01T07:59:59+08:00", "0001-01-01T00:00:00+23:59",
                "9999-12-31T23:59:59-23:59", "2999-01-01T00:00:00Z"):  # fmt: skip
        yield _changed(f"time {far}", "time_out_of_range", event_time=far)
    yield _changed("time of 65 characters", "out_of_bounds", event_time="2024-05-06T10:15:30." + "1" * 44 + "Z")
    for good in ("2000-01-01T00:00:00Z", "2024-02-29t10:15:30.123456789z", "2024-05-06T10:15:30-23:59"):
        yield _changed(f"time {good}", VALID, event_time=good)


def _addresses() -> Iterator[Poison]:
    for bad in (
        "", "localhost", "10.0.0.256", "10.0.0", "010.0.0.1", "10.0.0.1/8", "10.0.0.1:80", "fe80::1%eth0", "::g",
        "1::2::3", "[::1]", "０.0.0.1", "ec2.amazonaws.com",
    ):  # fmt: skip
        yield _changed(f"address {bad!r}", "bad_address", src_ip=bad)
    for good in ("0.0.0.0", "255.255.255.255", "::", "2001:DB8::1", "::ffff:10.0.0.1"):  # noqa: S104  no binding
        yield _changed(f"address {good}", VALID, src_ip=good)


def _counts() -> Iterator[Poison]:
    two = ["c-1", "c-2"]
    yield _changed("more subjects than listed", "count_without_manifest", subject_ids=two, subject_count=3)
    yield _changed("count without a list", "count_without_manifest", subject_count=1)
    yield _changed("largest count without manifest", "count_without_manifest", subject_count=2**63 - 1)
    yield _changed("fewer subjects than listed", "count_too_small", subject_ids=two, subject_count=1)
    yield _changed("none but two listed", "count_too_small", subject_ids=two, subject_count=0, subject_manifest="m")
    yield _changed("one subject listed twice", VALID, subject_ids=["c-1", "c-1"], subject_count=1)
    yield _changed("manifest", VALID, subject_ids=two, subject_count=3_000_000, subject_manifest="s3://lists/7")


_PARTS: tuple[Callable[[], Iterator[Poison]], ...] = (
    _sizes, _keys, _syntax, _depth, _characters, _hostile_text, _fields, _bounds, _duplicates, _identity, _times,
    _addresses, _counts,
)  # fmt: skip


def main(path: Path) -> None:
    """Writes the corpus as NDJSON: name, key and value (base64 or null), expected."""
    with path.open("w", encoding="utf-8") as out:
        for record in poison():
            line = {
                "name": record.name,
                "key": None if record.key is None else base64.b64encode(record.key).decode(),
                "value": None if record.value is None else base64.b64encode(record.value).decode(),
                "expected": record.expected,
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
