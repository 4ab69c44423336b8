"""Identities shown in part: enough stays hidden for every kind of reader, whatever the identity is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.permissions import ROLES, may
from pipeline.errors import Forbidden
from pipeline.privacy.display_masks import AUDITOR, RESPONDER, masked, policy_of

ROLE_SETS = st.frozensets(st.sampled_from(sorted(ROLES)))
IDENTITIES = st.one_of(
    st.text(max_size=40), st.from_regex(r"[a-z]{1,12}@[a-z]{1,9}\.com", fullmatch=True),
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.from_regex(r"[0-9]{1,20}", fullmatch=True),
    st.from_regex(r"c-[0-9]{1,9}", fullmatch=True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("identity", "responder", "auditor"),
    [
        ("13812341234", "138****1234", "138****1234"),
        ("+86 138 1234 1234", "+86 138 **** 1234", "+86 138 **** 1234"),
        ("11010519491231002X", "110*************2X", "110105********002X"),
        ("110105 19491231 002x", "110*** ******** **2x", "110105********002X"),
        ("4111111111111111", "************1111", "411111******1111"),
        ("378282246310005", "***********0005", "***********0005"),
        ("E12345678", "E******78", "E******78"),
        ("david.li@example.com", "d****@example.com", "da****@example.com"),
        ("david@example.com", "d****@example.com", "****@example.com"),
        ("al@example.com", "****@example.com", "****@example.com"),
        ("c-18823", "c****23", "****"),
        ("c-188234", "c****34", "c-****34"),
        ("zhang.wei", "z****ei", "zh****ei"),
        ("王小明", "****", "****"),
        ("", "****", "****"),
        ("cust:13812341234", "cust:138****1234", "cust:138****1234"),
    ],
)  # fmt: skip
def test_each_kind_of_identity_by_policy(identity: str, responder: str, auditor: str) -> None:
    assert (masked(identity, RESPONDER), masked(identity, AUDITOR)) == (responder, auditor)


@given(IDENTITIES, st.sampled_from([RESPONDER, AUDITOR]))
def test_at_least_four_characters_stay_hidden_or_none_is_shown(identity: str, policy: str) -> None:
    shown = masked(identity, policy)
    assert "****" in shown or shown.count("*") >= 4
    name, clear = (text.rpartition("@")[0] if "****@" in shown else text for text in (identity, shown.replace("*", "")))
    assert clear == "" or len(name.strip()) - len(clear) >= 4 or len(clear) < len(name)
    assert len(identity) < 4 or identity not in shown


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from([RESPONDER, AUDITOR]))
def test_four_digits_of_a_mobile_number_stay_hidden(number: str, policy: str) -> None:
    assert masked(number, policy).count("*") >= 4


@given(ROLE_SETS)
def test_who_may_see_a_masked_identity_has_a_policy_and_nobody_else(roles: frozenset[str]) -> None:
    if may(roles, "see_masked_identity"):
        assert policy_of(roles) in (RESPONDER, AUDITOR)
    else:
        with pytest.raises(Forbidden):
            policy_of(roles)


def test_of_several_roles_the_wider_policy_counts() -> None:
    assert policy_of({"soc"}) == policy_of({"responder", "soc"}) == RESPONDER
    assert policy_of({"soc", "dpo"}) == policy_of({"auditor"}) == AUDITOR
