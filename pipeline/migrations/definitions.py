"""What the migrations make, by name: the text of every view, the engine of every table behind them.

Place in the flow: read by verification (`pipeline/cli/verification_schema.py`), which compares it with the store.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from pipeline.migrations.schema import PUBLIC, RAW
from pipeline.migrations.steps import STEPS

_VIEW = re.compile(rf"CREATE OR REPLACE VIEW {PUBLIC}\.(\w+)\n")
_TABLE = re.compile(rf"CREATE TABLE IF NOT EXISTS {RAW}\.(\w+)\b.*\bENGINE = (\w+)", re.DOTALL)


def view_texts() -> Mapping[str, frozenset[str]]:
    """View to its statements: of one that a later step makes anew, a store may have any that it was given."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for _, _, sql in STEPS:
        if made := _VIEW.match(sql):
            found[made[1]].add(sql)
    return {name: frozenset(texts) for name, texts in found.items()}


def table_engines() -> Mapping[str, str]:
    """Table of the raw database to its engine."""
    return {made[1]: made[2] for _, _, sql in STEPS if (made := _TABLE.match(sql))}


OF_ONE_KIND: Mapping[str, str] = {
    "person_events": "access_events", "person_days": "risk_actor_1d", "person_features": "features",
    "person_accesses": "subject_access", "risk_actor_1d": "risk_actor_1h",
}  # fmt: skip
"""View to the one whose values it shows: what both have is of one type."""
