"""What one kind of change or honest history came to: changes, found, missed, false alarms."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from tests.tamper.history import TamperedStore

_MOST_TOLD = 5


@dataclass(slots=True)
class Result:
    """What one kind came to."""

    kind: str
    changes: int = 0
    missed: list[str] = field(default_factory=list)
    unseen: int = 0
    """Draws that left every view as it was: a sum whose part is not the largest, say. They are no changes."""
    honest: int = 0
    false_alarms: list[str] = field(default_factory=list)
    tables: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    begun_s: float = field(default_factory=time.monotonic)

    def line(self) -> dict[str, object]:
        """For the report."""
        return {
            "kind": self.kind, "changes": self.changes, "found": self.changes - len(self.missed),
            "missed": len(self.missed), "unseen": self.unseen, "honest": self.honest,
            "false_alarms": len(self.false_alarms), "examples": [*self.missed, *self.false_alarms][:_MOST_TOLD],
            "tables": dict(self.tables), "codes": dict(self.codes),
            "seconds": round(time.monotonic() - self.begun_s),
        }  # fmt: skip

    @property
    def is_good(self) -> bool:
        """Whether nothing was missed and no alarm was false."""
        return not self.missed and not self.false_alarms

    def look(self, store: TamperedStore, table: str, about: str, *, is_seen_alone: bool = False) -> None:
        """Verifies a changed store."""
        findings = store.verify(alone=is_seen_alone)
        self.changes += 1
        self.tables[table] += 1
        self.codes.update(findings.counts)
        if not (findings.counts if is_seen_alone else findings.has_differences):
            self.missed.append(about)

    def look_at_honest(self, store: TamperedStore, about: str) -> None:
        """Verifies a store that nobody changed."""
        told = store.verify()
        self.honest += 1
        if told.counts:
            self.false_alarms.append(f"{about}: {dict(told.counts)} {told.told[:1]}")
