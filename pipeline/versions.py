"""Version sets: everything assessment reads besides the event and its actor's own profile, named by content.

A batch is judged under exactly one set; its id stands in every row and ledger entry of the batch, and recovery and
replay read the set from there, never "the newest". Parts are ids of artefacts (kept in the store before first use) or
plain version words. The id is the SHA-256 of the parts as canonical JSON (sorted keys, no spaces, UTF-8).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

ARTEFACT_KIND = "versions"


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
