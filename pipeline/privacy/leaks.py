"""Looks for identifiers where none may be: raw, in the encodings they hide in, and with too little of them masked.

Place in the flow: under `accesstrail scan`, over whatever bytes its sources read. Pure. A chunk costs a few operations
of arrays whatever the number of identifiers: every four bytes are looked up in a table of what any needle begins with,
and only where that says yes the needles themselves are compared.

Without identifiers, patterns: the free-text scanner's own rules (`masks.py`), so what `protect` would have masked.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError
from pipeline.privacy.keys import normalised
from pipeline.privacy.masks import found_kinds

SHORTEST_BYTES = 6
"""Shorter identifiers would be found everywhere by chance."""
_HEAD_BYTES = 4
_TABLE_BITS = 20
_LONGEST_LINE_BYTES = 1 << 20
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_MASKED_DIGITS = 8
_LEAST_HIDDEN = 4
"""Fewer hidden digits than this are guessed in a moment."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found: the identifier's number (from 1; 0 for a pattern) and how it was written."""

    number: int
    form: str


class IdentifierFinder:
    """Finds the forms of some identifiers in bytes."""

    def __init__(self, identifiers: Sequence[str]) -> None:
        """Raises: UsageError: one is too short to be told from chance; says its number, never the identifier."""
        self._needles: dict[bytes, list[tuple[bytes, Hit]]] = defaultdict(list)
        self.longest = 0
        for number, identifier in enumerate(identifiers, start=1):
            if len(identifier.encode()) < SHORTEST_BYTES:
                raise UsageError(f"identifier {number} is shorter than {SHORTEST_BYTES} bytes: it would be anywhere")
            for needle, form in _forms(identifier).items():
                self._needles[needle[:_HEAD_BYTES]].append((needle, Hit(number, form)))
                self.longest = max(self.longest, len(needle))
        self._table = np.zeros(1 << _TABLE_BITS, np.bool_)
        heads = np.frombuffer(b"".join(self._needles), "<u4")
        self._table[_slots(heads)] = True

    def hits(self, chunk: bytes) -> Counter[Hit]:
        """Every form in these bytes, and how often."""
        found: Counter[Hit] = Counter()
        if len(chunk) < _HEAD_BYTES:
            return found
        raw = np.frombuffer(chunk, np.uint8).astype(np.uint32)
        eight, sixteen, twenty_four = np.array((8, 16, 24), np.uint32)
        heads = raw[:-3] | raw[1:-2] << eight | raw[2:-1] << sixteen | raw[3:] << twenty_four
        for place in np.flatnonzero(self._table[_slots(heads)]).tolist():
            for needle, hit in self._needles.get(chunk[place : place + _HEAD_BYTES], ()):
                if chunk.startswith(needle, place):
                    found[hit] += 1
        return found


class PatternFinder:
    """Finds what looks like personal data, whoever's."""

    def hits(self, chunk: bytes) -> Counter[Hit]:
        """Every kind in these bytes, and how often."""
        return Counter(Hit(0, kind) for kind in found_kinds(chunk.decode("utf-8", "replace")))


Finder = IdentifierFinder | PatternFinder


def search(finder: Finder, chunks: Iterable[bytes]) -> Counter[Hit]:
    """What is in the chunks as if they were one; what lies across two of them is found, and counted once."""
    if isinstance(finder, PatternFinder):
        return sum((finder.hits(lines) for lines in _whole_lines(chunks)), Counter())
    found: Counter[Hit] = Counter()
    kept = b""
    for chunk in chunks:
        whole = kept + chunk
        found += finder.hits(whole)
        kept = whole[-(finder.longest - 1) :]
        found -= finder.hits(kept)  # counted with the next chunk
    return found + finder.hits(kept)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut at line ends where there are any within reach."""
    kept = b""
    for chunk in chunks:
        head, end, tail = (kept + chunk).rpartition(b"\n")
        if len(tail) > _LONGEST_LINE_BYTES:
            head, tail = head + end + tail, b""
        yield head
        kept = tail
    yield kept


def _slots(heads: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    mixed = heads.astype(np.uint64) * np.uint64(2_654_435_761) & np.uint64(0xFFFFFFFF)
    return mixed >> np.uint64(32 - _TABLE_BITS)


def _forms(identifier: str) -> dict[bytes, str]:
    """Every way of writing it that is looked for; the first name of equal ones counts."""
    forms: dict[bytes, str] = {}
    for text in dict.fromkeys((identifier, normalised(identifier))):
        for needle, form in _written(text):
            if len(needle) >= _HEAD_BYTES:
                forms.setdefault(needle, form)
    return forms


def _written(text: str) -> Iterator[tuple[bytes, str]]:
    raw = text.encode()
    yield raw, "raw"
    for charset in ("utf-16-le", "utf-16-be"):
        yield text.encode(charset), charset
    if not text.isascii():
        yield text.encode("gb18030"), "gb18030"
        yield "".join(one if one.isascii() else f"\\u{ord(one):04x}" for one in text).encode(), "json"
    yield raw.hex().encode(), "hex"
    yield raw.hex().upper().encode(), "hex"
    for escape in ("%{:02X}", "%{:02x}"):
        yield "".join(chr(byte) if byte in _UNRESERVED else escape.format(byte) for byte in raw).encode(), "url"
        yield "".join(escape.format(byte) for byte in raw).encode(), "url"
    for offset in range(3):
        yield from ((needle, "base64") for needle in _base64(raw, offset))
    for masked in _hardly_masked(text):
        yield masked.encode(), "masked"


def _base64(raw: bytes, offset: int) -> Iterator[bytes]:
    """The characters that these bytes have alone, wherever they begin within three."""
    padded = base64.b64encode(b"\0" * offset + raw + b"\0\0")
    first = (offset * 8 + 5) // 6
    core = padded[first : (offset + len(raw)) * 8 // 6]
    yield core
    yield core.translate(bytes.maketrans(b"+/", b"-_"))


def _hardly_masked(text: str) -> Iterator[str]:
    """A number of which one to three neighbouring digits are starred."""
    if sum(one.isdigit() for one in text) < _MASKED_DIGITS:
        return
    for hidden in range(1, _LEAST_HIDDEN):
        for place in range(len(text) - hidden + 1):
            if text[place : place + hidden].isdigit():
                yield text[:place] + "*" * hidden + text[place + hidden :]
