"""Signs every tree that grew, and none that contradicts what was signed before: one round at a time.

Place in the flow: beside it. `begin` reads what was signed (store, file anchors), each `round` what the store holds
now. What is signed is remembered before it is stored; what could not be stored is stored in a later round. A tree that
is refused is looked at afresh after half a minute: it is signed again only when what was signed is there again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.errors import NoteRejected, TreeRefused
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import Checkpoint, TreeName, open_checkpoint
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey, PublicKey
from pipeline.notary.model import (
    CHECKPOINT_FORGED,
    CHECKPOINT_FORK,
    TREE_CHANGED,
    CheckpointStore,
    Leaf,
    SignedCheckpoint,
    TreeStart,
)
from pipeline.notary.trees import EntryTree, LeafTree
from pipeline.ports import LedgerEntry

_DISCOVER_S = 5.0
_AGAIN_S = 30.0
_ENTRIES, _LEAVES = 5_000, 20_000
"""How many are read in one question: an entry has up to 1.3 KB, a leaf 32 bytes."""
_TREES_AT_ONCE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NotarySettings:
    """Whose trees. `keys`: the key in use; `known`: all public keys that ever were."""

    deployment: str
    events_topic: str
    incidents_topic: str
    key: Callable[[], PrivateKey]
    known: Callable[[], tuple[PublicKey, ...]]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did. `refused`: code by origin; `goes_on`: there is more to read at once."""

    stored: tuple[SignedCheckpoint, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    goes_on: bool = False
    trees: int = 0


class Notary:
    """One notary. Not thread-safe. `clock`: seconds since 1970."""

    def __init__(self, store: CheckpointStore, settings: NotarySettings, clock: Callable[[], float]) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._signed: dict[str, Checkpoint] = {}
        self._forked: set[str] = set()
        self.forged = 0
        """How many checkpoints that nobody known signed were passed over."""
        self._entry_trees: dict[tuple[LogPosition, int], EntryTree] = {}
        self._leaf_trees: dict[LogPosition, LeafTree] = {}
        self._known: tuple[list[tuple[LogPosition, int]], list[LogPosition]] = ([], [])
        self._discovered_s = 0.0
        self._refused: dict[str, tuple[str, float]] = {}
        self._unstored: list[SignedCheckpoint] = []
        self._goes_on = False

    # -- what was signed

    def begin(self, anchored: Iterable[bytes]) -> Sequence[SignedCheckpoint]:
        """Takes in what was signed before: the store's newest checkpoints and anchors' notes; returns the store's.

        Raises: Away; StoreRefused; ConfigError.
        """
        stored = self._store.newest((self._settings.events_topic, self._settings.incidents_topic))
        known = self._settings.known()
        self.forged = 0
        found: dict[str, SignedCheckpoint] = {}
        for one in stored:
            checkpoint = self._opened_note(one.note, known)
            if checkpoint is not None:
                found[str(checkpoint.name)] = SignedCheckpoint(
                    checkpoint=checkpoint, last_offset=one.last_offset, frontier=one.frontier, note=one.note,
                    signed_at_us=one.signed_at_us,
                )  # fmt: skip
        for note in anchored:
            self._opened_note(note, known)
        return list(found.values())

    def _opened_note(self, note: bytes, known: tuple[PublicKey, ...]) -> Checkpoint | None:
        """What a note says, remembered; None where nobody known has signed it."""
        try:
            checkpoint, _ = open_checkpoint(note, known)
        except NoteRejected:
            self.forged += 1
            return None
        self._remember(checkpoint)
        return checkpoint

    def _remember(self, checkpoint: Checkpoint) -> None:
        origin, settings = str(checkpoint.name), self._settings
        if checkpoint.name.deployment != settings.deployment or checkpoint.name.position.topic not in (
            settings.events_topic,
            settings.incidents_topic,
        ):
            return
        before = self._signed.get(origin)
        if before is not None and before.size == checkpoint.size and before.root != checkpoint.root:
            self._forked.add(origin)
        if before is None or checkpoint.size > before.size:
            self._signed[origin] = checkpoint

    # -- one round

    def round(self) -> Round:
        """Looks at every tree, signs and stores what grew. Raises: Away; StoreRefused; ConfigError."""
        late = self._flush([])
        self._discover()
        self._goes_on = False
        grown = [*self._grown_entries(), *self._grown_leaves()]
        stored = self._flush(self._sign(grown) if grown else [])
        refused = {origin: code for origin, (code, _) in self._refused.items()}
        refused |= dict.fromkeys(sorted(self._forked), CHECKPOINT_FORK)
        return Round(late + stored, refused, self._goes_on, len(self._known[0]) + len(self._known[1]))

    def _discover(self) -> None:
        now_s = self._clock()
        if self._discovered_s and 0 <= now_s - self._discovered_s < _DISCOVER_S:
            return
        settings = self._settings
        self._known = (
            list(self._store.event_trees(settings.events_topic)),
            list(self._store.incident_trees(settings.incidents_topic)),
        )
        found = {str(self._name(*one)) for one in self._known[0]} | {str(self._name(one)) for one in self._known[1]}
        for origin in sorted(self._signed.keys() - found):
            self._note(self._signed[origin].name, TreeRefused("the whole tree is gone", "tree_shortened"))
        self._discovered_s = now_s

    def _name(self, position: LogPosition, epoch: int = 0) -> TreeName:
        return TreeName(self._settings.deployment, position, epoch)

    def _may_try(self, name: TreeName) -> bool:
        """Whether this tree is looked at now: not while it is refused, never where two histories are signed."""
        origin = str(name)
        if origin in self._forked:
            return False
        if origin in self._refused:
            since_s = self._clock() - self._refused[origin][1]
            return not 0 <= since_s < _AGAIN_S
        return True

    def _note(self, name: TreeName, why: TreeRefused) -> None:
        """This tree is refused, and begun afresh when it is tried again."""
        self._refused[str(name)] = (why.code, self._clock())
        self._entry_trees.pop((name.position, name.epoch), None)
        self._leaf_trees.pop(name.position, None)

    # -- trees of entries

    def _grown_entries(self) -> list[SignedCheckpoint]:
        """Unsigned checkpoints of the trees of `access.events` that grew."""
        trees = [one for one in self._known[0] if self._may_try(self._name(*one)) and self._opened(*one)]
        found: list[SignedCheckpoint] = []
        for at in range(0, len(trees), _TREES_AT_ONCE):
            some = trees[at : at + _TREES_AT_ONCE]
            starts = [TreeStart(*one, self._entry_trees[one].from_offset) for one in some]
            entries = self._store.entries_from(self._settings.events_topic, starts, _ENTRIES)
            by_tree: dict[tuple[LogPosition, int], list[LedgerEntry]] = {}
            for entry in entries:
                by_tree.setdefault((entry.position, entry.epoch), []).append(entry)
            is_cut = len(entries) >= _ENTRIES
            self._goes_on |= is_cut
            for one in some:
                if is_cut and one not in by_tree:
                    continue  # it may lie behind what was read
                found += self._follow(one, by_tree.get(one, []))
        return found

    def _opened(self, position: LogPosition, epoch: int) -> bool:
        """Whether the tree can be followed; one that was signed is first found again in the store."""
        if (position, epoch) in self._entry_trees:
            return True
        name = self._name(position, epoch)
        signed = self._signed.get(str(name))
        try:
            if signed is None:
                tree = EntryTree(epoch)
            else:
                tree = EntryTree.resumed(signed, self._store.entry_at(position, epoch, signed.size))
        except TreeRefused as exc:
            self._note(name, exc)
            return False
        self._entry_trees[position, epoch] = tree
        return True

    def _follow(self, one: tuple[LogPosition, int], entries: Sequence[LedgerEntry]) -> list[SignedCheckpoint]:
        name, tree = self._name(*one), self._entry_trees[one]
        try:
            newest = tree.follow(entries)
        except TreeRefused as exc:
            self._note(name, exc)
            return []
        self._refused.pop(str(name), None)
        tree.last = last = newest or tree.last
        if last is None or not self._is_more(name, last.tree_size):
            return []
        return [self._unsigned(name, last.last_offset, Frontier(last.tree_size, last.frontier))]

    # -- trees of rows

    def _grown_leaves(self) -> list[SignedCheckpoint]:
        """Unsigned checkpoints of the trees of `access.incidents` that grew."""
        trees = [one for one in self._known[1] if self._may_try(self._name(one))]
        found: list[SignedCheckpoint] = []
        for at in range(0, len(trees), _TREES_AT_ONCE):
            some = trees[at : at + _TREES_AT_ONCE]
            for one in some:
                self._leaf_trees.setdefault(one, LeafTree(one, self._signed.get(str(self._name(one)))))
            starts = [TreeStart(one, 0, self._leaf_trees[one].from_offset) for one in some]
            leaves = self._store.incident_leaves_from(self._settings.incidents_topic, starts, _LEAVES)
            by_tree = {one: list(group) for one, group in groupby(leaves, key=lambda leaf: leaf.position)}
            is_cut = len(leaves) >= _LEAVES
            self._goes_on |= is_cut
            last = leaves[-1].position if leaves else None
            for one in some:
                if is_cut and one not in by_tree:
                    continue
                found += self._take(one, by_tree.get(one, []), is_all=not (is_cut and one == last))
        return found

    def _take(self, one: LogPosition, leaves: Sequence[Leaf], *, is_all: bool) -> list[SignedCheckpoint]:
        name, tree = self._name(one), self._leaf_trees[one]
        try:
            tree.take(leaves, is_all=is_all)
        except TreeRefused as exc:
            self._note(name, exc)
            return []
        self._refused.pop(str(name), None)
        if not self._is_more(name, tree.frontier.size):
            return []
        return [self._unsigned(name, tree.last_offset, tree.frontier)]

    # -- signing

    def _is_more(self, name: TreeName, size: int) -> bool:
        signed = self._signed.get(str(name))
        return size > (signed.size if signed else 0)

    def _unsigned(self, name: TreeName, last_offset: int, frontier: Frontier) -> SignedCheckpoint:
        checkpoint = Checkpoint(name, frontier.size, frontier.root())
        return SignedCheckpoint(
            checkpoint=checkpoint, last_offset=last_offset, frontier=frontier.hashes, note=b"", signed_at_us=0
        )

    def _sign(self, grown: Sequence[SignedCheckpoint]) -> list[SignedCheckpoint]:
        """Signs, and remembers what was signed. Raises: ConfigError: the key cannot be used."""
        key, now_us = self._settings.key(), round(self._clock() * 1e6)
        signed = []
        for one in grown:
            before = self._signed.get(one.origin)
            # Trees refuse such before they come here; what may never happen is looked at where it would.
            if before is not None and one.checkpoint.size <= before.size:
                self._note(one.checkpoint.name, TreeRefused("a smaller tree was to be signed", TREE_CHANGED))
                continue
            self._signed[one.origin] = one.checkpoint
            signed.append(
                SignedCheckpoint(
                    checkpoint=one.checkpoint, last_offset=one.last_offset, frontier=one.frontier,
                    note=one.checkpoint.signed([key]), signed_at_us=now_us,
                )
            )  # fmt: skip
        return signed

    def _flush(self, signed: Sequence[SignedCheckpoint]) -> tuple[SignedCheckpoint, ...]:
        """Stores what is signed and not stored. Raises: Away; StoreRefused: it is stored in a later round."""
        self._unstored += signed
        if not self._unstored:
            return ()
        self._store.add(self._unstored)
        stored, self._unstored = tuple(self._unstored), []
        return stored

    @property
    def problems(self) -> Sequence[str]:
        """Codes of what is wrong beside refused trees."""
        return [CHECKPOINT_FORGED] if self.forged else []
