"""A rotation of the token key in mid-log: fresh pseudonyms in every row, and nobody becomes somebody new."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.base import MODEL_DETECTOR
from detectors.policy import Policy
from detectors.rules import all_rules
from pipeline.adapters.directory import read_directory
from pipeline.batch import FormedBatch, Judgement
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.directory import DirectorySnapshot
from pipeline.flow import Chain
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.keys import KEPT_KINDS, Key, Keyring
from pipeline.privacy.protector import Protection, Protectors
from pipeline.version_sets.sets import VersionSet
from tests.corpus.make_poison import event
from tests.exceptions import exception
from tests.flows import RECEIVED_MS, Record, batch_of, memory
from tests.models import small_model
from tests.rows import row_values

KEYS = tuple(Key(number, bytes([number]) * 32) for number in (1, 2, 3))
RING = Keyring(KEYS)
FIRST = Keyring(KEYS[:1])
NOBODY = bytes(16).hex()
COUNT, STEP = 200, 20
TOKENS = {
    "actor_token": "actor", "on_behalf_of_token": "actor", "credential_token": "credential", "session_token": "session",
    "device_token": "device", "user_agent_hash": "user_agent", "resource_token": "resource",
    "recipient_token": "recipient", "subject_manifest_token": "manifest", "subject_tokens": "subject",
}  # fmt: skip
"""Columns that hold a rotated key's tokens."""
PLACES = {"batch_id", "leaf_index", "versions_id", *TOKENS}
"""What may differ beside tokens: names of batch and version set."""


def body(offset: int, rng: random.Random) -> dict[str, Any]:
    at_ms = RECEIVED_MS + offset * 40_000 - 500
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000)) + f".{at_ms % 1000:03d}Z"
    person = rng.randrange(30)
    return event(
        f"event {offset - 7 if offset % 11 == 10 else offset}",
        event_time=moment,
        actor_id=f"actor-{rng.randrange(6)}",
        on_behalf_of=rng.choice((None, "actor-1")),
        action=rng.choice(("read", "search", "export", "unmask", "grant")),
        outcome=rng.choice(("success", "success", "denied")),
        records_returned=rng.choice((1, 1, 20, 40_000)),
        src_ip=f"10.0.{rng.randrange(4)}.7",
        device_id=f"device-{rng.randrange(3)}",
        session_id=f"session-{offset // 9}",
        credential_id=f"credential-{rng.randrange(4)}",
        resource_type=rng.choice(("customer_profile", "account_role")),
        resource_id=rng.choice((f"c-{person}", f"record-{offset}", f"actor-{rng.randrange(6)}")),
        subject_ids=[f"c-{person}", *(f"c-{rng.randrange(30)}" for _ in range(rng.randrange(4)))],
        case_ref=rng.choice((None, f"case-{rng.randrange(5)}")),
    )


def plain(given_body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given_body.items() if value is not None}


@cache
def bodies() -> tuple[dict[str, Any], ...]:
    rng = random.Random(3)
    return tuple(plain(body(offset, rng)) for offset in range(COUNT))


@cache
def directory() -> DirectorySnapshot:
    """As a worker reads it that holds every key: accounts with managers and households, work items, some prominent."""
    actors = (
        "actor_id,actor_type,org,department,role,manager_id,site,hired_on,leaves_on,status,mfa_required,own_subject_ids"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [f"actor-{one},employee,,sales,agent,actor-0,,,,active,no,c-{one}" for one in range(4)]
        (folder / "actors.csv").write_text("\n".join((actors, *rows)) + "\n", encoding="utf-8")
        people = [f"c-{one},CN-31,{'vip' if one % 3 else ''},house-{one // 2}" for one in range(12)]
        (folder / "subjects.csv").write_text(
            "\n".join(("subject_id,region,flags,household", *people)) + "\n", encoding="utf-8"
        )
        opened = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(RECEIVED_MS // 1000 - 3600))
        items = [
            {"case_ref": f"case-{one}", "actor_id": f"actor-{one}", "subject_id": f"c-{one}", "kind": "ticket",
             "opened_at": opened, "closed_at": None}
            for one in range(5)
        ]  # fmt: skip
        lines = "\n".join(json.dumps(one) for one in items)
        (folder / "work_items.ndjson").write_text(lines + "\n", encoding="utf-8")
        return read_directory(folder, RING)


def judgement(signing: int) -> Judgement:
    """The version set in which this key signs."""
    quiet = exception(
        MODEL_DETECTOR, *(rule.name for rule in all_rules()), up_to=60_000, valid_from_us=RECEIVED_MS * 1000,
        valid_until_us=RECEIVED_MS * 1000 + 30 * 86_400_000_000,
        scope={"actor": FIRST.token("default", "actor", "actor-2").hex(),
               "credential": FIRST.token("default", "credential", "credential-1").hex()},
    )  # fmt: skip
    protection = Protection(1, RING.version_ids[signing], RING.version_ids[0])
    return Judgement(
        VersionSet({"key": str(signing)}), directory(), small_model(), all_rules(), Policy(4500), "Asia/Shanghai",
        protection=protection, exceptions=(quiet,),
    )  # fmt: skip


@dataclass
class Run:
    """What the stages made of the whole log."""

    batches: list[FormedBatch] = field(default_factory=list)
    profiles: list[tuple[bytes, bytes]] = field(default_factory=list)


def run(borders: Sequence[int]) -> Run:
    """The whole log; at each of `borders` (offsets) the next key begins to sign."""
    made, state = Run(), memory()
    stages = Chain(Protectors(RING, KnownIdentities()))
    for first in range(0, COUNT, STEP):
        found = [
            Record(offset, msgspec.json.encode(bodies()[offset]), None, RECEIVED_MS + offset * 40_000)
            for offset in range(first, first + STEP)
        ]
        formed = stages.form(batch_of(found), state, judgement(sum(first >= border for border in borders)))
        state.commit(formed.entry)
        made.batches.append(formed)
    keys = sorted(state.profiles.dirty())
    made.profiles = list(zip(keys, state.profiles.export(keys), strict=True))
    return made


@cache
def unrotated() -> Run:
    return run(())


def told(formed: FormedBatch) -> list[tuple[object, ...]]:
    return [(one.alert_id, one.detector, one.risk, one.reasons, one.explanation_en, one.actor) for one in formed.alerts]


@settings(max_examples=4)
@given(st.lists(st.integers(0, COUNT // STEP).map(lambda turn: turn * STEP), max_size=2).map(sorted))
@example([100])
@example([STEP, 2 * STEP])
def test_events_after_a_rotation_are_judged_as_if_there_had_been_none(borders: list[int]) -> None:
    rotated = run(borders)
    for ours, theirs in zip(rotated.batches, unrotated().batches, strict=True):
        assert ours.events is not None
        assert theirs.events is not None
        assert told(ours) == told(theirs)
        assert [rest(one) for one in rows_of(ours)] == [rest(one) for one in rows_of(theirs)]
    assert rotated.profiles == unrotated().profiles


def rows_of(formed: FormedBatch) -> list[dict[str, Any]]:
    assert formed.events is not None
    return row_values(formed.events, ACCESS_EVENT_COLUMNS)


def rest(row: dict[str, Any]) -> dict[str, Any]:
    """What a rotation must not touch."""
    return {name: value for name, value in row.items() if name not in PLACES}


def test_the_log_holds_what_a_rotation_could_break() -> None:
    """Else the test above would prove nothing."""
    rows = [row for formed in unrotated().batches for row in rows_of(formed)]
    assert sum(len(formed.alerts) for formed in unrotated().batches) > 4
    assert len({row["explained"] for row in rows}) == 3
    assert len({row["actor_dept"] for row in rows}) == 2
    assert any(reason.startswith("exception:") for row in rows for reason in row["reasons"])
    assert any("vip" in row["subject_flags"] for row in rows)
    assert len(unrotated().profiles) == 6


def test_rows_hold_tokens_of_the_key_that_signs_and_case_references_keep_theirs() -> None:
    for formed, first in zip(run((60, 120)).batches, range(0, COUNT, STEP), strict=True):
        signing = Keyring(KEYS[: 1 + (first >= 60) + (first >= 120)])
        for row, given_body in zip(rows_of(formed), bodies()[first : first + STEP], strict=True):
            assert row["actor_token"] == signing.token("default", "actor", given_body["actor_id"]).hex()
            subjects = [signing.token("default", "subject", one).hex() for one in given_body["subject_ids"]]
            assert row["subject_tokens"] == subjects
            if "case_ref" in given_body:
                assert row["case_token"] == FIRST.token("default", "case", given_body["case_ref"]).hex()


def test_a_second_key_changes_every_token_column() -> None:
    before, after = (rows_of(run(borders).batches[-1]) for borders in ((), (0,)))
    for name in TOKENS:
        differ = [one[name] != other[name] for one, other in zip(before, after, strict=True) if one[name] != NOBODY]
        assert all(differ), name


def test_alerts_name_the_account_by_its_canonical_token() -> None:
    canonical = {FIRST.token("default", "actor", f"actor-{one}") for one in range(6)}
    actors = {alert.actor for formed in run((100,)).batches for alert in formed.alerts}
    assert actors <= canonical


def test_the_vault_is_told_of_both_tokens_and_of_one_while_the_first_key_signs() -> None:
    def named(formed: FormedBatch) -> set[tuple[str, bytes, str]]:
        return {(one.kind, one.token, one.identifier) for one in formed.identities}

    batches = run((100,)).batches
    for formed, keyring in ((batches[0], FIRST), (batches[8], Keyring(KEYS[:2]))):
        for kind, token, identifier in named(formed):
            assert token in keyring.tokens("default", kind, identifier)
    assert any(
        one.token == Keyring(KEYS[:2]).token("default", one.kind, one.identifier) for one in batches[8].identities
    )


@given(
    st.permutations(KEYS),
    st.integers(1, 3),
    st.sampled_from(["actor", "subject", "case"]),
    st.text(min_size=1, max_size=20),
)
def test_a_canonical_token_is_that_of_the_oldest_key_whatever_keys_there_are(
    keys: list[Key], count: int, kind: str, identifier: str
) -> None:
    ring = Keyring(tuple(keys[:count]))
    oldest = Keyring((min(keys[:count], key=lambda key: key.key_id),))
    assert ring.canonical.token("t", kind, identifier) == oldest.token("t", kind, identifier)
    assert ring.canonical.token("t", kind, identifier) in ring.tokens("t", kind, identifier)
    for version in ring.version_ids:
        signing = ring.signing_with(version, ring.version_ids[0])
        assert signing.version_id == version
        assert signing.canonical.version_id == ring.version_ids[0]
        is_kept = kind in KEPT_KINDS
        assert (signing.token("t", kind, identifier) == oldest.token("t", kind, identifier)) == (
            is_kept or version == ring.version_ids[0]
        )
