"""Exceptions through the stages: whatever they are, scores stay, and nobody whom they do not name is touched."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from functools import cache

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.base import MODEL_DETECTOR
from detectors.exceptions import AlertException
from detectors.policy import Policy
from detectors.rules import all_rules
from pipeline.batch import FormedBatch, Judgement
from pipeline.column_batch import ArrayColumn, TextColumn
from pipeline.privacy.keys import Keyring
from tests.exceptions import exception
from tests.flows import RECEIVED_MS, Record, batch_of, chain, judgement, memory
from tests.models import small_model
from tests.properties.test_determinism import _event

COUNT = 300
LAST_US = (RECEIVED_MS + COUNT * 40_000) * 1000
ACTORS = {f"actor-{number}": Keyring.offline().token("default", "actor", f"actor-{number}") for number in range(5)}
SCORES = ("score_status", "anomaly_score", "top3_surprisal", "risk")


@cache
def records() -> list[Record]:
    rng = random.Random(11)
    return [
        Record(n, msgspec.json.encode(_event(n, rng)), None, RECEIVED_MS + n * 40_000) for n in range(COUNT)
    ]  # fmt: skip


def judged(*exceptions: AlertException) -> FormedBatch:
    rules: Judgement = judgement()
    under = replace(rules, model=small_model(), policy=Policy(4500), exceptions=exceptions)
    return chain().form(batch_of(records()), memory(), under)


@cache
def plain() -> FormedBatch:
    return judged()


def by_actor(formed: FormedBatch) -> dict[bytes, list[tuple[str, int, tuple[str, ...]]]]:
    assert formed.events is not None
    tokens = formed.events.fixed("actor_token").tolist()
    found: dict[bytes, list[tuple[str, int, tuple[str, ...]]]] = {token: [] for token in ACTORS.values()}
    for alert in formed.alerts:
        found[tokens[alert.row]].append((alert.alert_id, alert.risk, alert.reasons))
    return found


def reasons(formed: FormedBatch) -> list[list[str]]:
    assert formed.events is not None
    column = formed.events.columns["reasons"]
    assert isinstance(column, ArrayColumn)
    assert isinstance(column.items, TextColumn)
    texts = [column.items.interner.texts[number] for number in column.items.ids.tolist()]
    ends = [0, *column.ends.tolist()]
    return [texts[begin:end] for begin, end in itertools.pairwise(ends)]


EXCEPTIONS = st.lists(
    st.builds(
        lambda names, actor, up_to, ends: exception(
            *names, scope={"actor": ACTORS[actor].hex()}, up_to=up_to, valid_from_us=RECEIVED_MS * 1000,
            valid_until_us=ends,
        ),
        st.lists(st.sampled_from([MODEL_DETECTOR, *(rule.name for rule in all_rules())]), min_size=1, max_size=25),
        st.sampled_from(sorted(ACTORS)),
        st.sampled_from([5000, 9000, 60_000]),
        st.integers(RECEIVED_MS * 1000 + 1, LAST_US),
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(EXCEPTIONS)
def test_scores_stay_others_alerts_stay_and_every_hit_is_evidence(exceptions: list[AlertException]) -> None:
    formed = judged(*exceptions)
    assert formed.events is not None
    assert plain().events is not None
    for name in SCORES:
        assert formed.events.fixed(name).tolist() == plain().events.fixed(name).tolist()  # type: ignore[union-attr]
    named = {bytes.fromhex(one.scope["actor"]) for one in exceptions}
    for token, alerts in by_actor(formed).items():
        if token not in named:
            assert alerts == by_actor(plain())[token]
    tokens = formed.events.fixed("actor_token").tolist()
    received = formed.events.fixed("received_at").tolist()
    of_code = {one.code: one for one in exceptions}
    for row, (codes, before) in enumerate(zip(reasons(formed), reasons(plain()), strict=True)):
        marks = [code for code in codes if code.startswith("exception:")]
        assert sorted(set(codes) - set(marks)) == sorted(before)
        for mark in marks:
            assert of_code[mark].holds_at(received[row])
            assert bytes.fromhex(of_code[mark].scope["actor"]) == tokens[row]


def test_without_exceptions_not_a_byte_of_the_evidence_differs() -> None:
    expired = exception(MODEL_DETECTOR, up_to=60_000, scope={"actor": ACTORS["actor-1"].hex()}, valid_until_us=5)
    assert judged(expired).entry.root == plain().entry.root


def test_what_is_excepted_wholly_raises_no_alert_and_the_ledger_shows_it() -> None:
    names = [MODEL_DETECTOR, *(rule.name for rule in all_rules())]
    token = ACTORS["actor-1"]
    one = exception(
        *names, up_to=60_000, scope={"actor": token.hex()}, valid_from_us=0, valid_until_us=LAST_US
    )  # fmt: skip
    formed = judged(one)
    assert by_actor(plain())[token]
    assert by_actor(formed)[token] == []
    assert formed.entry.root != plain().entry.root
    assert sum(one.code in codes for codes in reasons(formed)) >= len(by_actor(plain())[token])
