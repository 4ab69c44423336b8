"""Every form of an identifier is found wherever it lies, once; what is masked enough, or another's, is not."""

from __future__ import annotations

import base64
import random
from urllib.parse import quote

import pytest

from pipeline.errors import UsageError
from pipeline.privacy.leaks import Hit, IdentifierFinder, PatternFinder, search
from pipeline.privacy.masks import found_kinds, luhn_valid

PHONE, NAME, MAIL = "13812345678", "欧阳娜娜小姐", "li.na+7@example.com"


def forms_in(content: bytes, *identifiers: str) -> set[tuple[int, str]]:
    return {(hit.number, hit.form) for hit in search(IdentifierFinder(identifiers), [content])}


PLANTED = [
    (PHONE, PHONE.encode(), "raw"), (NAME, NAME.encode(), "raw"), (PHONE, PHONE.encode("utf-16-le"), "utf-16-le"),
    (PHONE, PHONE.encode("utf-16-be"), "utf-16-be"), (NAME, NAME.encode("gb18030"), "gb18030"),
    (NAME, ascii(NAME)[1:-1].encode(), "json"), (PHONE, PHONE.encode().hex().encode(), "hex"),
    (NAME, NAME.encode().hex().upper().encode(), "hex"), (MAIL, quote(MAIL, safe="").encode(), "url"),
    (NAME, quote(NAME).lower().encode(), "url"), (PHONE, b"138123*5678", "masked"), (PHONE, b"138***45678", "masked"),
    *((one, base64.b64encode(b"x" * before + one.encode() + b"yz"), "base64") for one in (PHONE, NAME, MAIL)
      for before in range(3)),
    *((NAME, base64.urlsafe_b64encode(b"x" * before + NAME.encode()), "base64") for before in range(3)),
]  # fmt: skip


@pytest.mark.parametrize(("identifier", "planted", "form"), PLANTED)
def test_each_form_is_found(identifier: str, planted: bytes, form: str) -> None:
    noise = random.Random(7).randbytes(3000)
    assert (1, form) in forms_in(noise + planted + noise, identifier)


@pytest.mark.parametrize("planted", [b"138****5678", b"1381234567", b"23812345678"])
def test_what_is_masked_enough_or_another_number_is_not_found(planted: bytes) -> None:
    assert forms_in(planted, PHONE) == set()


@pytest.mark.parametrize("size", [1, 3, 10, 11, 40, 1000])
def test_however_the_bytes_are_cut_each_occurrence_counts_once(size: int) -> None:
    content = b"".join(b"%d %s," % (number, PHONE.encode()) for number in range(50))
    chunks = [content[place : place + size] for place in range(0, len(content), size)]
    assert search(IdentifierFinder([PHONE, "other-name"]), chunks) == {Hit(1, "raw"): 50}


def test_full_width_digits_are_looked_for_as_they_are_and_as_they_are_tokenised() -> None:
    wide = "１３８１２３４５６７８"
    assert forms_in(wide.encode() + b" " + PHONE.encode(), wide) == {(1, "raw")}


def test_a_short_identifier_is_refused_by_its_number_alone() -> None:
    with pytest.raises(UsageError) as caught:
        IdentifierFinder([PHONE, "wang"])
    assert "identifier 2" in str(caught.value)
    assert "wang" not in str(caught.value)


def test_patterns_are_those_that_free_text_is_masked_by() -> None:
    content = b"a 13812345678 b\nc 110101199003078515 4111111111111111 a.b@example.com E12345678 order 99999999999\n"
    for size in (7, 64, 1000):
        chunks = [content[place : place + size] for place in range(0, len(content), size)]
        found = {hit.form: count for hit, count in search(PatternFinder(), chunks).items()}
        assert found == {"mobile": 1, "identity": 1, "card": 1, "e-mail": 1, "passport": 1}


def test_masked_values_are_no_pattern() -> None:
    assert not search(PatternFinder(), [b"138****5678 d****@example.com ************1111"])


@pytest.mark.parametrize("number", ["13812345012", "+8613812345012", "15012398031"])
def test_a_mobile_number_whose_digits_hold_a_date_is_a_mobile_number(number: str) -> None:
    assert list(found_kinds(f"call {number} now")) == ["mobile"]


def test_a_uuid_is_no_card_and_hides_none_beside_it() -> None:
    """Its last digits pass the check of ISO/IEC 7812; a card that is written like one does not pass for a UUID."""
    like_a_card = "9f3c2a1b-77de-4a10-4111-111111111111"
    assert luhn_valid("4111111111111111")
    assert list(found_kinds(f"run {like_a_card} done")) == []
    assert list(found_kinds(f"{like_a_card} 4111-1111-1111-1111 {like_a_card.upper()}")) == ["card"]
    assert list(found_kinds("4111-1111-1111-1111-411111111111")) != []
