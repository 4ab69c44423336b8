"""Properties of the free-text scanner: planted numbers never survive, everything else does."""

from __future__ import annotations

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.privacy.masks import is_identity_number, luhn_valid, mask_text

FULL_WIDTH = str.maketrans("0123456789+-", "０１２３４５６７８９＋－")
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@st.composite
def mobiles(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", "+86", "86", "0086", "+86 "])) + draw(
        st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
    )


@st.composite
def identity_numbers(draw: st.DrawFn) -> str:
    province = draw(st.sampled_from(["11", "31", "44", "51", "65"]))
    date = draw(st.dates()).replace(year=draw(st.integers(1930, 2020)), day=draw(st.integers(1, 28)))
    body = f"{province}{draw(st.integers(0, 9999)):04}{date:%Y%m%d}{draw(st.integers(0, 999)):03}"
    if draw(st.booleans()):
        return body[:6] + body[8:]  # fifteen digits: the old form
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, body, strict=True)) % 11]


@st.composite
def cards(draw: st.DrawFn) -> str:
    body = draw(st.from_regex(r"[3-9][0-9]{11,17}", fullmatch=True))
    return next(body + str(check) for check in range(10) if luhn_valid(body + str(check)))


@st.composite
def written(draw: st.DrawFn, numbers: st.SearchStrategy[str]) -> str:
    """A number as people write it: in groups, or in full-width digits."""
    number = draw(numbers)
    size = draw(st.sampled_from([0, 3, 4, 6]))
    if size:
        gap = draw(st.sampled_from([" ", "-", "  ", " - ", "\u00a0", "\u200b", "－"]))
        number = gap.join(number[place : place + size] for place in range(0, len(number), size))
    return number.translate(FULL_WIDTH) if draw(st.booleans()) else number


# Words around the number end and begin with a letter or a sign, so that the number stands for itself.
AROUND = st.from_regex(r"(?:[a-z /,;:客户电话，。]{0,20}[a-z,:话，])?", fullmatch=True)


def digits_of(text: str) -> str:
    return "".join(str(int(character)) for character in text if character.isdecimal())


@given(AROUND, written(mobiles() | identity_numbers() | cards()), AROUND)
def test_no_planted_number_survives(before: str, number: str, after: str) -> None:
    masked = mask_text(f"{before} {number} ,{after}")
    kept = digits_of(masked)
    # At most a country prefix, three digits at the front and four at the end stay, as the masks say.
    assert len(kept) <= 4 + 3 + 4
    assert masked.count("*") >= 4
    assert digits_of(number) not in kept


@given(st.text(max_size=200))
def test_masking_is_idempotent_and_never_raises(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)


@given(st.lists(st.sampled_from([*"0123456789-- +@.xXEa，１８", "138", "86", "4111", "1"]), max_size=60).map("".join))
def test_masking_is_idempotent_where_numbers_crowd(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


@given(st.from_regex(r"[a-z.+]{1,20}@[a-z]{1,10}\.(com|cn|com\.cn)", fullmatch=True), AROUND)
def test_no_planted_address_survives(address: str, before: str) -> None:
    masked = mask_text(f"{before} {address}")
    local, domain = address.split("@")
    assert masked.endswith(f" {local[0]}****@{domain}")


@given(st.text(max_size=200))
def test_text_without_long_numbers_and_addresses_is_unchanged(text: str) -> None:
    import unicodedata

    folded = unicodedata.normalize("NFKC", text)
    assume("@" not in folded)
    assume(len(re.sub(r"[^0-9]", "", folded)) < 7)
    assert mask_text(text) == text


@given(st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[a-f][0-9a-f]{11}", fullmatch=True))
def test_only_digits_that_form_a_number_are_hidden_in_trace_ids(trace: str) -> None:
    masked = mask_text(trace)
    assert re.sub(r"[0-9*]", "", masked) == re.sub(r"[0-9*]", "", trace)


@given(identity_numbers())
def test_a_wrong_check_character_is_no_identity_number(number: str) -> None:
    assume(len(number) == 18)
    assert is_identity_number(number)
    wrong = number[:17] + ("1" if number[17] != "1" else "2")
    assert not is_identity_number(wrong)
