"""Words of the list of incidents and of one incident."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "incidents.title": ("Incidents", "事件"),
}
