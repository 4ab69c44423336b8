"""Turns identifiers into tokens fast: each different identifier is hashed once, then known by a small integer.

Place in the flow: inside `protect`. Equal to `Keyring.token` bit for bit (tested). HMAC-SHA256 is two hashes whose
first blocks depend on the key alone, so both states are prepared once and copied (RFC 2104, section 4).
Memory is bounded by two generations: when the young table is full it becomes the old one; an identifier found
there moves over without being hashed again. Row numbers live until `renew_if_full`, called between two batches.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.columns import NO_TOKEN, TOKEN_BYTES
from pipeline.privacy.keys import KEPT_KINDS, Keyring, length_prefixed, normalised

GENERATION_ENTRIES = 1 << 16
# Long texts must not make a table of few entries large: 4 million characters are at most 16 MB.
GENERATION_CHARACTERS = 1 << 22
_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))

Value = TypeVar("Value")


class Tokeniser:
    """Tokens of one tenant and kind; `Tokeniser(...)(identifier)` equals `Keyring.token(...)`."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, keyring: Keyring, tenant: str, kind: str) -> None:
        block = keyring.tenant_key(tenant, kind).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER) + length_prefixed(kind))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def __call__(self, identifier: str) -> bytes:
        """The 16-byte token of one identifier."""
        inner = self._inner.copy()
        inner.update(normalised(identifier).encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:TOKEN_BYTES]


class BytesTable(dict[str | None, int]):
    """Text → row of a table of 16-byte values; row 0 is the absent value (all zero). Not thread-safe."""

    __slots__ = ("_characters", "_limit", "_old", "_old_rows", "rows")

    def __init__(self, limit: int = GENERATION_ENTRIES) -> None:
        super().__init__({None: 0})
        self._limit = limit
        self._characters = 0
        self._old: dict[str | None, int] = {}
        self._old_rows = b""
        self.rows = bytearray(NO_TOKEN)

    def compute(self, text: str) -> bytes:
        """The 16 bytes of a text that was never seen; each kind of table says how."""
        raise NotImplementedError  # not an abstract method: Python checks those for no subclass of dict

    def __missing__(self, text: str) -> int:
        row = len(self.rows) // TOKEN_BYTES
        self._characters += len(text)
        before = self._old.get(text)
        self.rows += self.compute(text) if before is None else self.moved(text, before)
        self[text] = row
        return row

    def moved(self, text: str, before: int) -> bytes:
        """The 16 bytes that the older generation has at row `before`."""
        return self._old_rows[before * TOKEN_BYTES : (before + 1) * TOKEN_BYTES]

    def ids(self, texts: Iterable[str | None], count: int) -> npt.NDArray[np.int32]:
        """The rows of `count` texts, int32 (count,)."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, count)

    def take(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.void]:
        """The values of these rows, V16, same shape."""
        return np.frombuffer(self.rows, f"V{TOKEN_BYTES}")[ids]

    def tokens(self, texts: Iterable[str | None], count: int) -> npt.NDArray[np.void]:
        """The values of `count` texts, V16 (count,)."""
        return self.take(self.ids(texts, count))

    def renew_if_full(self) -> None:
        """Starts a new generation when this one is full. Row numbers given before it are void."""
        if len(self) < self._limit and self._characters < GENERATION_CHARACTERS:
            return
        self.start_anew()

    def start_anew(self) -> None:
        """Begins another generation; what was known stays known as the older one."""
        self._characters = 0
        self._old, self._old_rows = dict(self), bytes(self.rows)
        self.clear()
        self[None] = 0
        self.rows = bytearray(NO_TOKEN)


class Pseudonyms(NamedTuple):
    """Tokens of some values, V16 (n,): as they are stored, and as they stay through every rotation of the key.

    Where one key is all there is, both are the same array.
    """

    stored: npt.NDArray[np.void]
    canonical: npt.NDArray[np.void]

    @property
    def is_rotated(self) -> bool:
        """Whether they are two arrays."""
        return self.canonical is not self.stored

    def put(self, rows: npt.NDArray[np.integer[Any]] | slice, part: Pseudonyms) -> None:
        """Writes the tokens of some values, (rows,)."""
        self.stored[rows] = part.stored
        if self.is_rotated:
            self.canonical[rows] = part.canonical


class TokenTable(BytesTable):
    """Identifiers of one tenant and kind → tokens; beside them canonical tokens, where another key made those."""

    __slots__ = ("_canonical", "_tokeniser")

    def __init__(self, keyring: Keyring, tenant: str, kind: str, limit: int = GENERATION_ENTRIES) -> None:
        super().__init__(limit)
        self._tokeniser = Tokeniser(keyring, tenant, kind)
        differs = keyring.is_rotated and kind not in KEPT_KINDS
        self._canonical = _CanonicalRows(Tokeniser(keyring.canonical, tenant, kind)) if differs else None

    def compute(self, text: str) -> bytes:
        """The token."""
        if self._canonical is not None:
            self._canonical.add(text)
        return self._tokeniser(text)

    def moved(self, text: str, before: int) -> bytes:
        """The token that the older generation knows."""
        if self._canonical is not None:
            self._canonical.move(before)
        return super().moved(text, before)

    def pseudonyms(self, ids: npt.NDArray[np.int32]) -> Pseudonyms:
        """Both tokens of these rows, V16, same shape."""
        stored = self.take(ids)
        if self._canonical is None:
            return Pseudonyms(stored, stored)
        return Pseudonyms(stored, np.frombuffer(self._canonical.rows, f"V{TOKEN_BYTES}")[ids])

    def start_anew(self) -> None:
        """Begins another generation."""
        super().start_anew()
        if self._canonical is not None:
            self._canonical.start_anew()


class _CanonicalRows:
    """Canonical tokens, row by row those of a token table."""

    __slots__ = ("_old_rows", "_tokeniser", "rows")

    def __init__(self, tokeniser: Tokeniser) -> None:
        self._tokeniser, self._old_rows = tokeniser, b""
        self.rows = bytearray(NO_TOKEN)

    def add(self, text: str) -> None:
        """Another row."""
        self.rows += self._tokeniser(text)

    def move(self, before: int) -> None:
        """Another row, which the older generation had at `before`."""
        self.rows += self._old_rows[before * TOKEN_BYTES : (before + 1) * TOKEN_BYTES]

    def start_anew(self) -> None:
        """Begins another generation."""
        self._old_rows, self.rows = bytes(self.rows), bytearray(NO_TOKEN)


class AddressTable(BytesTable):
    """Internet addresses as text → 16 bytes of IPv6, IPv4 mapped (RFC 4291, section 2.5.5.2)."""

    __slots__ = ()

    def compute(self, text: str) -> bytes:
        """The packed address."""
        packed = ip_address(text).packed
        return packed if len(packed) == TOKEN_BYTES else b"\0" * 10 + b"\xff\xff" + packed


class NumberTable(Generic[Value], dict[Value, int]):
    """Value → 32-bit number, computed once; bounded as the tables above, but without rows."""

    __slots__ = ("_limit", "_old")

    def __init__(self, limit: int = GENERATION_ENTRIES) -> None:
        super().__init__()
        self._limit = limit
        self._old: dict[Value, int] = {}

    def compute(self, value: Value) -> int:
        """The number of a value that was never seen; each kind of table says how."""
        raise NotImplementedError  # not an abstract method: Python checks those for no subclass of dict

    def __missing__(self, value: Value) -> int:
        number = self._old.get(value)
        if number is None:
            number = self.compute(value)
        self[value] = number
        return number

    def numbers(self, values: Iterable[Value], count: int) -> npt.NDArray[np.uint32]:
        """The numbers of `count` values, uint32 (count,)."""
        return np.fromiter(map(self.__getitem__, values), np.uint32, count)

    def renew_if_full(self) -> None:
        """Starts a new generation when this one is full."""
        if len(self) >= self._limit:
            self._old = dict(self)
            self.clear()


class TrailingNumbers(NumberTable[str]):
    """Identifier → the decimal number it ends in, modulo 2^32, plus one; 0 where it ends in none."""

    __slots__ = ()

    def compute(self, value: str) -> int:
        """1 + trailing number (mod 2^32 - 1, so that 0 stays free)."""
        head = value.rstrip("0123456789")
        return int(value[len(head) :]) % 0xFFFFFFFF + 1 if len(head) < len(value) else 0


class ActorTable(TokenTable):
    """Actors of one tenant: token, the secret shift of their resource numbers, and the partition their key names."""

    __slots__ = ("_partition_of", "_shift_of", "partitions", "shifts")

    def __init__(
        self, keyring: Keyring, tenant: str, partition_of: NumberTable[str], limit: int = GENERATION_ENTRIES
    ) -> None:
        super().__init__(keyring, tenant, "actor", limit)
        # Profiles remember the last number: the shift must outlast a rotation.
        self._shift_of = Tokeniser(keyring.canonical, tenant, "sequence")
        self._partition_of = partition_of
        self.shifts = array("I", [0])
        self.partitions = array("i", [-1])

    def __missing__(self, text: str) -> int:
        row = super().__missing__(text)
        self.shifts.append(int.from_bytes(self._shift_of(text)[:4], "big"))
        self.partitions.append(self._partition_of[text])
        return row

    def renew_if_full(self) -> None:
        """Starts a new generation when this one is full."""
        super().renew_if_full()
        if len(self) == 1:
            self.shifts = array("I", [0])
            self.partitions = array("i", [-1])
