"""What readers may see of what events are judged by, as the database role reader: the log of changes, contents, nights.

Place in the flow: beside it; used by the console's page of models and rules. Contents come from the view
`version_contents`: exceptions, policies, the parts of a set, a model's manifest; never its trees or statistics.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.adapters.reader_pool import Questions
from pipeline.errors import StoreRefused
from pipeline.version_sets.sets import Activation

MOST_CHANGES, MOST_NIGHTS = 5_000, 400
_LOG = (
    "SELECT number, lower(hex(versions_id)), lower(hex(previous_id)), lower(hex(files_id)), kind, reason, "
    "lower(hex(by_token)), threshold, toUnixTimestamp64Micro(activated_at), parts, announced "
    "FROM accesstrail.version_activations WHERE topic = {topic:String} ORDER BY number DESC LIMIT {most:UInt64}"
)
_CONTENT = (
    "SELECT base64Encode(content) FROM accesstrail.version_contents "
    "WHERE artefact_id = toFixedString(unhex({id:String}), 32)"
)
_NIGHTS = (
    "SELECT report FROM accesstrail.nightly_reports WHERE topic = {topic:String} ORDER BY day DESC LIMIT {most:UInt64}"
)
_ALERTS = (
    "SELECT lower(hex(versions_id)), count() FROM accesstrail.alerts WHERE topic = {topic:String} "
    "AND NOT startsWith(detector, 'system:') GROUP BY versions_id"
)


class VersionsReader:
    """Questions about one topic's version sets on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions, topic: str) -> None:
        self._reader, self._topic = reader, topic

    def history(self) -> tuple[list[Activation], frozenset[int]]:
        """The activations, oldest first, without what is sealed in them; the numbers that Kafka has been told of."""
        rows = self._reader.query(_LOG, {"topic": self._topic, "most": MOST_CHANGES})
        return [_activation(self._topic, row) for row in rows][::-1], frozenset(int(row[0]) for row in rows if row[10])

    def load_artefact(self, artefact_id: str) -> bytes:
        """What readers may see of an artefact. Raises: StoreRefused: there is none, or nothing of it is shown."""
        rows = self._reader.query(_CONTENT, {"id": artefact_id})
        if not rows:
            raise StoreRefused("the store has no such artefact for readers: run `accesstrail migrate --plan`")
        return base64.b64decode(rows[0][0])

    def manifest(self, artefact_id: str) -> Mapping[str, Any]:
        """What a model's manifest says; nothing where it says nothing."""
        try:
            said = json.loads(self.load_artefact(artefact_id))
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    def nights(self, limit: int) -> list[dict[str, Any]]:
        """Reports of the nightly turn, the newest first."""
        rows = self._reader.query(_NIGHTS, {"topic": self._topic, "most": min(limit, MOST_NIGHTS)})
        return [json.loads(row[0]) for row in rows]

    def alerts_by_set(self) -> Mapping[str, int]:
        """How many alerts were raised under each version set; the system's own alarms are none of them."""
        return {str(name): int(count) for name, count in self._reader.query(_ALERTS, {"topic": self._topic})}


def _activation(topic: str, row: Sequence[Any]) -> Activation:
    number, versions, previous, files, kind, reason, by, threshold, at_us, parts, _ = row
    return Activation(
        topic=topic, number=int(number), versions_id=bytes.fromhex(versions), previous_id=bytes.fromhex(previous),
        files_id=bytes.fromhex(files), kind=kind, reason=reason, by_token=bytes.fromhex(by), threshold=int(threshold),
        activated_at_us=int(at_us), parts=dict(parts),
    )  # fmt: skip
