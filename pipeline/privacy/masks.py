"""Finds personal numbers and addresses in free text and masks them; text without them stays as it is.

Place in the flow: inside `protect`, on every text that a person or a program may have written freely.
Found: mainland identity numbers (GB 11643: 18 characters with check character, 15 digits of the old form), mainland
mobile numbers (with +86, 86 or 0086), bank cards (ISO/IEC 7812: Luhn, 13 to 19 digits), passports of the mainland,
e-mail addresses. Digits may be full-width (or any other form that NFKC makes a digit)
and be split by spaces, hyphens or invisible characters.
Policies are those for responders, the strictest reader (a stored mask cannot be undone):

    mobile   138****1234          first three, last four
    identity 110*************2X   first three, last two; six + four would leave about 2,420 candidates
    card     ************1111     last four
    passport E******78            first one, last two
    e-mail   d****@example.com    first one, and the domain

Masked values are still personal data to someone who knows the person. A cheap pre-filter decides
whether a text can hold any of it; only hits cost more. All patterns are linear in the text's length (no nested or
adjoining repetition).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Between two digits of one number: spaces, hyphens and dashes, invisible characters; at most three of them.
_GAP = "[ \t\u00a0\u2000-\u2015\u202f\u2060\u2212\u3000\ufe58\ufeff\\-]{0,3}"
_RUN = re.compile(rf"[0-9](?:{_GAP}[0-9]){{10,}}(?:[Xx](?![0-9A-Za-z]))?")
_GROUP = re.compile(r"[0-9]+[Xx]?")
_UUID = re.compile("(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])")
_PASSPORT = re.compile(r"(?<![0-9A-Za-z])[EGeg][A-Za-z0-9][0-9]{7}(?![0-9A-Za-z])")
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?=[\w-]++\.[\w-])")

# The pre-filter: every byte becomes the class it belongs to, what may stand between digits falls away, and then five
# plain searches say whether anything can be there. It may say yes too often, never too rarely.
_CLASS_OF = bytes(
    ord("0") if chr(byte).isdigit() else ord("E") if chr(byte) in "EGeg" else ord("A") if chr(byte).isalpha()
    else byte if byte == ord("@") else ord("#")
    for byte in range(128)
) + bytes(128)  # fmt: skip
_FALLS_AWAY = b" \t-" + bytes(range(128, 256))

# First two digits: GB/T 2260, and 83 for residence permits of people from Taiwan.
_PROVINCES = frozenset(
    f"{province:02}"
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
    for province in range(first, last + 1)
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_MOBILE_PREFIXES = {11: 0, 13: 2, 15: 4}
_LONGEST = 19
MASKS_VERSION = "2"
"""Part of every version set: what is masked is evidence."""


def mask_text(text: str) -> str:
    """The text with every personal number and address masked; the very same text where there is none.

    Total: never raises. Idempotent: masking a masked text changes nothing.
    """
    if text.isascii():
        return _mask_until_stable(text) if _suspicious(text) else text
    if not _suspicious(unicodedata.normalize("NFKC", text)):
        return text
    masked = _mask_until_stable(text)
    # Characters that fold to several (a circled 10) have no place of their own in the text: mask the folded form.
    folded = unicodedata.normalize("NFKC", masked)
    again = _mask_until_stable(folded)
    return masked if again == folded else again


def found_kinds(text: str) -> Iterator[str]:
    """The kind of each personal number and address in a text, in no order: what `mask_text` would hide, by name.

    But for UUIDs (RFC 9562), which stores and logs are full of: some of them hold digits that would do for a card.
    """
    text = _UUID.sub("#", text)
    if not _suspicious(text if text.isascii() else unicodedata.normalize("NFKC", text)):
        return
    folded = text if text.isascii() else "".join(map(_FOLD.__getitem__, text))
    yield from ("e-mail" for _ in _EMAIL.finditer(folded))
    yield from ("passport" for _ in _PASSPORT.finditer(folded))
    for run in _RUN.finditer(folded):
        for places, first, _ in _numbers(folded, run.start(), run.end()):
            digits = "".join(folded[place] for place in places)
            yield "card" if first == 0 else "identity" if is_identity_number(digits) else "mobile"


def _suspicious(text: str) -> bool:
    classes = text.encode("utf-8", "replace").translate(_CLASS_OF, _FALLS_AWAY)
    return (
        b"00000000000" in classes
        or b"@" in classes
        or (b"0000000" in classes and (b"E00000000" in classes or b"EA0000000" in classes or b"EE0000000" in classes))
    )


def _mask_until_stable(text: str) -> str:
    """Masking can make new neighbours of digits; each round hides at least one more character, so this ends."""
    while True:
        masked = _mask_once(text)
        if masked == text:
            return text
        text = masked


def _mask_once(text: str) -> str:
    folded = text if text.isascii() else "".join(map(_FOLD.__getitem__, text))
    out = list(text)
    for hit in _EMAIL.finditer(folded):
        out[hit.start() + 1 : hit.end() - 1] = [""] * (hit.end() - hit.start() - 2)
        out[hit.start()] += "****"
    for hit in _PASSPORT.finditer(folded):
        _hide(out, range(hit.start() + 1, hit.end() - 2))
    for run in _RUN.finditer(folded):
        for places, first, last in _numbers(folded, run.start(), run.end()):
            _hide(out, places[first : len(places) - last])
    return "".join(out)


def _hide(out: list[str], places: range | list[int]) -> None:
    for place in places:
        out[place] = "*"


class _Fold(dict[str, str]):
    """Character → the one character it stands for under NFKC, itself where that is several."""

    def __missing__(self, character: str) -> str:
        folded = unicodedata.normalize("NFKC", character)
        # Bounded by the size of Unicode.
        self[character] = result = folded if len(folded) == 1 else character
        return result


_FOLD = _Fold()


def _numbers(text: str, start: int, end: int) -> Iterator[tuple[list[int], int, int]]:
    """Personal numbers in one run of digits: places of their digits, how many stay at the front and at the end.

    A number begins and ends where a group of digits does, so an order number that merely contains eleven fitting
    digits is left alone. At each place the longest one counts; what follows it is searched on.
    """
    groups = [(hit.start(), hit.group()) for hit in _GROUP.finditer(text, start, end)]
    at = 0
    while at < len(groups):
        found = _longest_at(groups, at)
        if found is None:
            at += 1
            continue
        taken, kept_first, kept_last = found
        places = [place + i for place, digits in groups[at : at + taken] for i in range(len(digits))]
        yield places, kept_first, kept_last
        at += taken


def _longest_at(groups: list[tuple[int, str]], at: int) -> tuple[int, int, int] | None:
    """How many groups from `at` on make the longest personal number, and what of it stays; None: none does."""
    digits, found = "", None
    for taken in range(1, len(groups) - at + 1):
        digits += groups[at + taken - 1][1]
        if len(digits.rstrip("Xx")) > _LONGEST:
            break
        kept = _kept(digits)
        if kept is not None:
            found = taken, kept[0], kept[1]
    return found


def _kept(digits: str) -> tuple[int, int] | None:
    """How many characters stay in clear at the front and at the end; None where this is no personal number."""
    size = len(digits)
    if size < 11:
        return None
    if size in (15, 18) and is_identity_number(digits):
        return 3, 2
    prefix = _MOBILE_PREFIXES.get(size)
    if prefix is not None and _is_mobile(digits, prefix):
        return prefix + 3, 4
    if digits[-1] in "Xx":  # no check character: somebody wrote an x behind a number
        shorter = _kept(digits[:-1])
        return None if shorter is None else (shorter[0], shorter[1] + 1)
    if size >= 13 and digits[0] not in "01" and digits.isdigit() and luhn_valid(digits):
        return 0, 4
    return None


def _is_mobile(digits: str, prefix: int) -> bool:
    return (
        digits[prefix] == "1"
        and digits[prefix + 1] in "3456789"
        and digits[:prefix] in ("", "86", "0086")
        and digits.isdigit()
    )


def is_identity_number(digits: str) -> bool:
    """Whether this is a mainland identity number: province, a possible date, and (18) the check character."""
    if len(digits) not in (15, 18) or digits[:2] not in _PROVINCES or not digits[:-1].isdigit():
        return False
    date = digits[6:14] if len(digits) == 18 else "19" + digits[6:12]
    if date[:2] not in ("18", "19", "20") or not "01" <= date[4:6] <= "12" or not "01" <= date[6:8] <= "31":
        return False
    if len(digits) == 15:
        return digits.isdigit()
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, digits, strict=False))
    return _ID_CHECK[total % 11] == digits[17].upper()


def luhn_valid(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += _LUHN_DOUBLED[value] if place & 1 else value
    return total % 10 == 0
