"""Detectors whose state is not keyed by the actor of one event: SQL on a schedule over sealed rows, one file each.

A detector is data (`base.ScheduledDetector`): SQL text, typed parameters, cadence, and a function from a row to a
verdict. Whoever runs it is elsewhere: `pipeline/schedule/`, live over ClickHouse and offline over the embedded engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.scheduled.base import ScheduledDetector
from detectors.scheduled.credential_many_places import CREDENTIAL_MANY_PLACES
from detectors.scheduled.distributed_scraping import DISTRIBUTED_SCRAPING
from detectors.scheduled.grant_then_use import GRANT_THEN_USE
from detectors.scheduled.partner_over_contract_day import PARTNER_OVER_CONTRACT_DAY
from detectors.scheduled.profile_assembly import PROFILE_ASSEMBLY
from detectors.scheduled.sequence_holes import SEQUENCE_HOLES
from detectors.scheduled.silent_source import SILENT_SOURCE
from detectors.scheduled.slow_drip import SLOW_DRIP
from detectors.scheduled.subject_looked_at_by_many import SUBJECT_LOOKED_AT_BY_MANY
from detectors.scheduled.unexplained_access import UNEXPLAINED_ACCESS
from detectors.scheduled.unexplained_streak import UNEXPLAINED_STREAK

SCHEDULED: Sequence[ScheduledDetector] = (
    CREDENTIAL_MANY_PLACES, DISTRIBUTED_SCRAPING, GRANT_THEN_USE, PARTNER_OVER_CONTRACT_DAY, PROFILE_ASSEMBLY,
    SEQUENCE_HOLES, SILENT_SOURCE, SLOW_DRIP, SUBJECT_LOOKED_AT_BY_MANY, UNEXPLAINED_ACCESS,
    UNEXPLAINED_STREAK,
)  # fmt: skip
"""Every scheduled detector, by name."""

SCHEDULED_VERSION = "4"
"""Raised with every change of SQL or verdicts; part of each run's row."""
