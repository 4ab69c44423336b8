"""What `protect` remembers between batches: keys, and one memo table for each kind of value.

Place in the flow: made by the composition root, used by `protect`. Tables change speed, never results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.column_batch import Interner, TextColumn
from pipeline.partitioning import partition_of
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.key_file import Keys
from pipeline.privacy.keys import Keyring
from pipeline.privacy.sealing import Sealer
from pipeline.privacy.tokens import (
    GENERATION_CHARACTERS,
    GENERATION_ENTRIES,
    ActorTable,
    AddressTable,
    NumberTable,
    TokenTable,
    TrailingNumbers,
)

_MAXIMUM_TABLES = 512
_KEPT_PROTECTORS = 2
# Sessions, devices, tickets, objects: seen a few times within minutes, then never again; their tables need no long
# memory. A table of 65,536 and its older generation take about 26 MB.
_PASSING_ENTRIES = GENERATION_ENTRIES // 4


class Texts(dict[str | None, int]):
    """Text as it arrived → id of the text that is stored (clear, masked, or a family); id 0 is "absent"."""

    __slots__ = ("_characters", "_transform", "interner")

    def __init__(self, transform: Callable[[str], str] | None = None) -> None:
        super().__init__({None: 0})
        self._characters = 0
        self._transform = transform
        self.interner = Interner()

    def __missing__(self, text: str) -> int:
        number = self.interner[text if self._transform is None else self._transform(text)]
        self[text] = number
        self._characters += len(text)
        return number

    def column(self, values: Iterable[str | None], count: int) -> TextColumn:
        """The texts of `count` values."""
        return TextColumn(np.fromiter(map(self.__getitem__, values), np.int32, count), self.interner)

    def renew_if_full(self) -> None:
        """Starts anew when the table is full; columns made before keep their own interner."""
        if len(self) >= GENERATION_ENTRIES or self._characters >= GENERATION_CHARACTERS:
            self._characters = 0
            self.clear()
            self[None] = 0
            self.interner = Interner()


class HomePartitions(NumberTable[str]):
    """Actor id → the partition its key belongs to."""

    __slots__ = ("_partitions",)

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self._partitions = partitions

    def compute(self, value: str) -> int:
        """The partition of the UTF-8 key, as Kafka's default partitioner says."""
        return partition_of(value.encode(), self._partitions)


class Protector:
    """Keys and memo tables of one process; results depend on the keyring, the partition count and the allow-list.

    Not thread-safe. Memory is bounded: call `renew_if_full` between two batches.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        partitions: int,
        attrs_allowed: Sequence[str] = (),
        known: KnownIdentities | None = None,
    ) -> None:
        self.keyring, self.known = keyring, known
        self.key_versions = keyring.canonical.version_id, keyring.version_id
        """Of canonical tokens, and of those that are stored."""
        self.attrs_allowed = tuple(sorted(attrs_allowed))
        self.sealer = Sealer(keyring)
        self.addresses = AddressTable()
        self.trailing_numbers = TrailingNumbers()
        self._home_partitions = HomePartitions(partitions)
        self._tokens: dict[tuple[str, str], TokenTable] = {}
        self._actors: dict[str, ActorTable] = {}
        self._texts: dict[str, Texts] = {}

    def tokens(self, tenant: str, kind: str) -> TokenTable:
        """The table of one tenant's identifiers of one kind."""
        if kind == "actor":
            return self.actors(tenant)
        table = self._tokens.get((tenant, kind))
        if table is None:
            limit = GENERATION_ENTRIES if kind == "subject" else _PASSING_ENTRIES
            table = self._tokens[tenant, kind] = TokenTable(self.keyring, tenant, kind, limit)
        return table

    def actors(self, tenant: str) -> ActorTable:
        """The table of one tenant's actors."""
        table = self._actors.get(tenant)
        if table is None:
            table = self._actors[tenant] = ActorTable(self.keyring, tenant, self._home_partitions)
        return table

    def texts(self, column: str, transform: Callable[[str], str] | None = None) -> Texts:
        """The table of one text column."""
        table = self._texts.get(column)
        if table is None:
            table = self._texts[column] = Texts(transform)
        return table

    def renew_if_full(self) -> None:
        """Bounds the memory: full tables start a new generation, too many tenants' tables are dropped."""
        if len(self._tokens) + len(self._actors) > _MAXIMUM_TABLES:
            self._tokens.clear()
            self._actors.clear()
        for tables in (self._tokens, self._actors, self._texts):
            for table in tables.values():
                table.renew_if_full()
        self.addresses.renew_if_full()
        self.trailing_numbers.renew_if_full()
        self._home_partitions.renew_if_full()


@dataclass(frozen=True, slots=True)
class Protection:
    """What `misrouted` and tokens depend on: the topic's partitions, the key that signs (empty: the newest).

    `canonical_version`: the key of the tokens that stay through rotations (empty: the oldest).
    """

    partitions: int = 1
    key_version: str = ""
    canonical_version: str = ""


class Protectors:
    """The protector of every protection asked for, the last two kept: that in force, and one a replay needs."""

    def __init__(self, keys: Keys, known: KnownIdentities | None = None) -> None:
        """`known`: whom the vault holds already; None: there is no vault, and no identity goes further."""
        self._keys, self._known = keys, known
        self._made: dict[Protection, Protector] = {}

    def of(self, protection: Protection) -> Protector:
        """Ready for a batch. Raises: ConfigError: the keyring does not hold its key."""
        made = self._made.pop(protection, None)
        if made is None:
            key = protection.key_version
            keyring = self._keys.signing_with(key, protection.canonical_version) if key else self._keys.current
            made = Protector(keyring, partitions=protection.partitions, known=self._known)
        self._made[protection] = made
        while len(self._made) > _KEPT_PROTECTORS:
            del self._made[next(iter(self._made))]
        made.renew_if_full()
        return made
