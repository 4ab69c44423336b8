"""Version sets: everything assessment reads besides the event and its actor's own profile, named by content.

A batch is judged under exactly one set; its id stands in every row and ledger entry of the batch, and recovery and
replay read the set from there, never "the newest". Parts are ids of artefacts (kept in the store before first use) or
plain version words. The id is the SHA-256 of the parts as canonical JSON (sorted keys, no spaces, UTF-8).

Which set is in force is said by the *activation log* in the store, one log a topic, numbered from 1: the newest
activation is the set in force, for every worker and after every restart. An activation is immutable; the first writer
of a number wins.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

ARTEFACT_KIND = "versions"
NO_SET = bytes(32)
"""Stands for "none before"."""

FIRST, FILES, USE, ROLLBACK, THRESHOLD = "first", "files", "use", "rollback", "threshold"
EXCEPTION, PROMOTE, MODEL_ROLLBACK = "exception", "promote", "model_rollback"
BUDGET, SHADOW = "budget", "shadow"
"""Kinds of activation: the first of a topic; changed files; what a person asked for; what the nightly budget did."""

ROTATE_KEY = "rotate_key"
"""Kind of activation: another token key signs."""

TOKENS, CANONICAL_TOKENS = "tokens", "tokens_canonical"
"""Version words: the token key that signs; that of the tokens which stay the same, where it is another one."""

CARRIED = ("exceptions", "shadow")
"""Parts that no file gives: what people decided stays when files change."""

MODEL_OF_FILES = "model_of_files"
"""Version word: the model that the configured folder gave (artefact id, or the code why none), used or not."""

MODEL_PARTS = ("model", "model_signature", "model_signer", "model_fault")
"""What belongs to the model in force, wherever it came from."""

_NAMESPACE = uuid.UUID("2f6f7d9e-6f0a-5a57-9a4e-0b6a51b9d1c4")


@dataclass(frozen=True, slots=True)
class VersionSet:
    """One immutable choice of versions: part name → artefact id or version word."""

    parts: Mapping[str, str]

    def content(self) -> bytes:
        """The bytes that are kept as an artefact and hashed into the id."""
        return json.dumps(dict(self.parts), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def versions_id(self) -> bytes:
        """SHA-256 of the content, 32 bytes."""
        return hashlib.sha256(self.content()).digest()

    @classmethod
    def from_content(cls, content: bytes) -> VersionSet:
        """The set whose `content()` this is."""
        return cls(json.loads(content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One entry of a topic's activation log: from here on new batches are judged under `versions_id`.

    `files_id` names what the configured files gave when it was written: while they give the same, a worker leaves the
    set in force alone, so a rollback is not undone by unchanged files. `by_token` is the pseudonym of the person, or
    sixteen zero bytes for the system itself. `event` is the sealed access event that tells of the change.
    Times are UTC microseconds, `threshold` is in hundredths of risk.
    """

    topic: str
    number: int
    versions_id: bytes
    previous_id: bytes
    files_id: bytes
    kind: str
    reason: str
    by_token: bytes
    threshold: int
    activated_at_us: int
    parts: Mapping[str, str] = field(default_factory=dict)
    event: str = ""

    @property
    def event_id(self) -> uuid.UUID:
        """Id of the access event: a function of what changed, so a repeated event is known as the same one."""
        return change_event_id(self.topic, self.number, self.previous_id, self.versions_id)


def change_event_id(topic: str, number: int, previous_id: bytes, versions_id: bytes) -> uuid.UUID:
    """Id of the access event of one change; anyone can compute it from the activation log."""
    return uuid.uuid5(_NAMESPACE, f"{topic}:{number}:{previous_id.hex()}:{versions_id.hex()}")


def canonical_version(parts: Mapping[str, str]) -> str:
    """Version of the key of a set's canonical tokens; what exceptions and the directory name people by."""
    return parts.get(CANONICAL_TOKENS) or parts.get(TOKENS, "")


def changed_parts(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ between two sets, sorted."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def set_before(log: list[Activation], of: Activation) -> Activation | None:
    """The newest activation that put another set in force than `of` has, before `of`; what a rollback goes to."""
    older = [one for one in log if one.number < of.number and one.versions_id != of.versions_id]
    return older[-1] if older else None
