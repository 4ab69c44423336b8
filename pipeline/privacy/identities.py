"""Identities that a batch names, and which of them this process knows to be in the vault already.

Place in the flow: `protect` notes what it turns into tokens of these kinds; `flow.Chain` asks here which of them are
new; step 1 of the commit stores those. What is known is a cache: forgetting costs a question to the vault, never an
identity. Only accounts and data subjects are kept: whom an auditor or a person asking must be able to name. Beside
their tokens of a rotated key stands the canonical one: the same path tells `token_links` who is the same person.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.ports import Identity

VAULT_KINDS = frozenset(("actor", "subject"))
LINKED_KINDS = VAULT_KINDS | {"credential", "device", "recipient"}
"""Kinds whose tokens under another key are linked to their canonical ones: what detectors and people go by for long."""
GENERATION_ENTRIES = 1 << 17
LOOK_INTERVAL_S = 10.0
"""How often a process asks whether somebody was erased, and may come again as new."""
_HEAD = "<u8"
"""The first half of a token: two of a million tokens share it with a chance of 1 in 37 million."""


@dataclass(frozen=True, slots=True)
class NamedTokens:
    """Identifiers of one tenant and kind beside their tokens, V16 (n,); an absent one is None and a token of zeros."""

    tenant: str
    kind: str
    tokens: npt.NDArray[np.void]
    texts: Sequence[str | None]
    key_version: str = ""
    """Of the key that made the tokens."""
    canonical: npt.NDArray[np.void] | None = None
    """Their canonical tokens; None where these are the tokens themselves."""


class KnownIdentities:
    """Tokens known to be in the vault: at most two generations of them, 2 MiB. Safe between threads."""

    def __init__(self, limit: int = GENERATION_ENTRIES, *, only_rotated: bool = False) -> None:
        """`only_rotated`: there is no vault, and all that is kept is who is the same person (`token_links`)."""
        self._limit, self._only_rotated = limit, only_rotated
        self._lock = threading.Lock()
        # Sorted. No identifier has the token of zeros, and it stands for none: it is always known.
        self._young = self._old = np.zeros(1, _HEAD)
        self._erasures = -1
        self._asked_s = -math.inf
        self.generation = 0

    @property
    def entries(self) -> int:
        """How many tokens are held."""
        return len(self._young) + len(self._old) - 2

    def unknown(self, named: Iterable[NamedTokens]) -> list[Identity]:
        """Those that are not known to be in the vault, each once."""
        found: dict[tuple[str, str, bytes], Identity] = {}
        for one in named:
            if self._only_rotated and one.canonical is None:
                continue
            for row in self._missing(one.tokens).tolist():
                token, text = one.tokens[row].tobytes(), one.texts[row]
                if text is not None:
                    canonical = token if one.canonical is None else one.canonical[row].tobytes()
                    found.setdefault(
                        (one.tenant, one.kind, token),
                        Identity(one.tenant, one.kind, token, text, one.key_version, canonical),
                    )
        return list(found.values())

    def add(self, identities: Iterable[Identity], generation: int) -> None:
        """These are in the vault. `generation`: as it was before the vault was asked; an older one says nothing."""
        heads = np.array([int.from_bytes(one.token[:8], "little") for one in identities], _HEAD)
        with self._lock:
            if generation == self.generation and len(heads):
                self._take_in(heads)

    def is_look_due(self, now_s: float) -> bool:
        """Whether it is time to ask for erasures; one of all writers is told so, once in a while."""
        with self._lock:
            due = now_s - self._asked_s >= LOOK_INTERVAL_S
            if due:
                self._asked_s = now_s
            return due

    def forget_after(self, erasures: int) -> None:
        """Forgets everything where there are other erasures than when this was last said: who comes again is new."""
        with self._lock:
            if erasures != self._erasures:
                self._erasures = erasures
                self._young = self._old = np.zeros(1, _HEAD)
                self.generation += 1

    def _missing(self, tokens: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
        if not len(tokens):
            return np.zeros(0, np.int64)
        heads = np.ascontiguousarray(tokens).view(_HEAD)[::2]
        with self._lock:
            rows = np.flatnonzero(~_are_in(self._young, heads))
            if not len(rows):
                return rows
            is_old = _are_in(self._old, heads[rows])
            if is_old.any():
                self._take_in(heads[rows[is_old]])
            return rows[~is_old]

    def _take_in(self, heads: npt.NDArray[np.uint64]) -> None:
        if len(self._young) + len(heads) > self._limit:
            self._old, self._young = self._young, np.zeros(1, _HEAD)
        self._young = np.union1d(self._young, heads[-self._limit :])


def _are_in(known: npt.NDArray[np.uint64], heads: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    places = np.searchsorted(known, heads)
    places[places == len(known)] = 0
    return np.asarray(known[places] == heads, np.bool_)
