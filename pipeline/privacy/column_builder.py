"""Builds the columns of one batch field by field: token, mask, code, number, text or list.

Place in the flow: inside `protect`; each method takes one value an event and adds one column. A field that no event
of the batch carries costs one look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import ArrayColumn, Column, FixedColumn, MapColumn, TextColumn
from pipeline.columns import TOKEN_BYTES, WIRE_TREATMENTS
from pipeline.privacy.identities import LINKED_KINDS, VAULT_KINDS, NamedTokens
from pipeline.privacy.masks import mask_text
from pipeline.privacy.protector import Protector
from pipeline.privacy.tokens import Pseudonyms

_TOKEN_DTYPE = f"V{TOKEN_BYTES}"


class ColumnBuilder:
    """The columns of one batch under construction; every method takes one value an event and adds one column."""

    def __init__(self, tenants: Sequence[str], protector: Protector) -> None:
        """`tenants`: the tenant of each event, at least one."""
        self.count = len(tenants)
        self.protector = protector
        self.columns: dict[str, Column] = {}
        self.identities: list[NamedTokens] = []
        """What became tokens of the kinds that the vault keeps."""
        self.canonical: dict[str, npt.NDArray[np.void]] = {}
        """By column, as `Protected.canonical`."""
        self.text("tenant_id", tenants)
        self.tenants: list[tuple[str, npt.NDArray[np.int64] | None]] = [(tenants[0], None)]
        distinct = sorted(set(tenants))
        if len(distinct) > 1:
            table = protector.texts("tenant_id")
            tenant_ids = table.column(tenants, self.count).ids
            self.tenants = [(tenant, np.flatnonzero(tenant_ids == table[tenant])) for tenant in distinct]

    def tokens(self, kind: str, values: Sequence[str | None]) -> Pseudonyms:
        """Tokens of one value an event, V16 (n,), under each event's tenant."""
        if not any(values):
            nobody = np.zeros(self.count, _TOKEN_DTYPE)
            return Pseudonyms(nobody, nobody)
        return self.tokens_of(kind, values)

    def tokens_of(
        self, kind: str, values: Sequence[str | None], rows: npt.NDArray[np.integer[Any]] | None = None
    ) -> Pseudonyms:
        """Tokens of values, V16 (m,); `rows` (m,): the event each belongs to, where it is not one an event."""
        out = self.no_tokens(len(values))
        for tenant, own_rows in self.tenants:
            table = self.protector.tokens(tenant, kind)
            if own_rows is None:
                made = table.pseudonyms(table.ids(values, len(values)))
                self.note(tenant, kind, made, values)
                return made
            own = own_rows if rows is None else np.flatnonzero(np.isin(rows, own_rows))
            own_values = [values[place] for place in own.tolist()]
            made = table.pseudonyms(table.ids(own_values, len(own)))
            out.put(own, made)
            self.note(tenant, kind, made, own_values)
        return out

    def no_tokens(self, count: int) -> Pseudonyms:
        """Room for tokens of so many values."""
        stored = np.empty(count, _TOKEN_DTYPE)
        return Pseudonyms(stored, np.empty(count, _TOKEN_DTYPE) if self.protector.keyring.is_rotated else stored)

    def note(self, tenant: str, kind: str, made: Pseudonyms, values: Sequence[str | None]) -> None:
        """Remembers what became which token, where the vault keeps identities of this kind."""
        rotated = made.is_rotated
        if kind in VAULT_KINDS or (rotated and kind in LINKED_KINDS):
            versions = self.protector.key_versions
            if rotated and kind in VAULT_KINDS:  # incidents and the directory name people by it
                self.identities.append(NamedTokens(tenant, kind, made.canonical, values, versions[0]))
            canonical = made.canonical if rotated else None
            self.identities.append(NamedTokens(tenant, kind, made.stored, values, versions[1], canonical))

    def token(self, name: str, field: str, values: Sequence[str | None]) -> None:
        """A column of tokens, of the kind that the wire field `field` has."""
        self.pseudonyms(name, self.tokens(WIRE_TREATMENTS[field][1], values))

    def pseudonyms(self, name: str, made: Pseudonyms) -> None:
        """A column of tokens, one an event."""
        self.fixed(name, made.stored)
        self.keep_canonical(name, made)

    def keep_canonical(self, name: str, made: Pseudonyms) -> None:
        """What detectors read in place of the column, where it is not the same."""
        if made.is_rotated:
            self.canonical[name] = made.canonical

    def fixed(self, name: str, values: npt.NDArray[np.generic]) -> None:
        """A fixed-width column."""
        self.columns[name] = FixedColumn(values)

    def codes(self, name: str, values: Iterable[str | bool | None], table: Mapping[str | bool | None, int]) -> None:
        """A column of small integers for words."""
        self.fixed(name, np.fromiter(map(table.__getitem__, values), np.int8, self.count))

    def numbers(self, name: str, values: Sequence[int | None], absent: int, dtype: str) -> None:
        """A column of integers; `absent` where the event has none."""
        self.fixed(name, self.integers(values, absent, dtype))

    def integers(self, values: Sequence[int | None], absent: int, dtype: str) -> npt.NDArray[np.integer[Any]]:
        """One integer an event, (n,); `absent` where it has none."""
        missing = values.count(None)
        if missing == self.count:
            return np.full(self.count, absent, dtype)
        given = [absent if value is None else value for value in values] if missing else values
        return np.fromiter(cast("Sequence[int]", given), dtype, self.count)

    def text(self, name: str, values: Sequence[str | None], transform: Callable[[str], str] | None = None) -> None:
        """A text column, clear or through `transform`."""
        texts = self.protector.texts(name, transform)
        if any(values):
            self.columns[name] = texts.column(values, self.count)
        else:
            self.columns[name] = TextColumn(np.zeros(self.count, np.int32), texts.interner)

    def masked(self, name: str, values: Sequence[str | None]) -> None:
        """A text column through the free-text scanner."""
        self.text(name, values, mask_text)

    def lists(self, name: str, values: Sequence[Sequence[str] | None]) -> None:
        """A column of lists of words."""
        texts = self.protector.texts(name)
        if any(values):
            ends = np.cumsum([len(value) if value else 0 for value in values])
            items = texts.column(chain.from_iterable(filter(None, values)), int(ends[-1]))
        else:
            ends, items = np.zeros(self.count, np.int64), texts.column((), 0)
        self.columns[name] = ArrayColumn(ends, items)

    def attrs(self, values: Sequence[Mapping[str, str] | None]) -> None:
        """The allow-listed attributes, keys in sorted order, values through the free-text scanner."""
        allowed = self.protector.attrs_allowed
        keys, contents = self.protector.texts("attrs"), self.protector.texts("attrs values", mask_text)
        kept: list[list[tuple[str, str]]] = []
        if allowed and any(values):
            kept = [[(key, value[key]) for key in allowed if key in value] if value else [] for value in values]
            ends = np.cumsum([len(pairs) for pairs in kept])
        else:
            ends = np.zeros(self.count, np.int64)
        flat = list(chain.from_iterable(kept))
        self.columns["attrs"] = MapColumn(
            ends,
            keys.column([key for key, _ in flat], len(flat)),
            contents.column([value for _, value in flat], len(flat)),
        )
