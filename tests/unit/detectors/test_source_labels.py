"""Alerts about a source hit labels of the same instance, not of the same account."""

from __future__ import annotations

from detectors.source_labels import SOURCE_DETECTORS, WITHIN_US, Sighting, hits_by_source

HOUR_US = 3_600_000_000
NEXT = Sighting("silent_source", "next", "crm/crm-1", 5 * HOUR_US)
LATER = Sighting("silent_source", "later", "crm/crm-1", 6 * HOUR_US)


def hit(alert: Sighting, *labels: Sighting) -> str | None:
    (found,) = hits_by_source([alert], labels)
    return found.event_id if found is not None else None


def test_both_detectors_of_sources_count_by_source() -> None:
    assert {"silent_source", "sequence_holes"} == SOURCE_DETECTORS
    for name in SOURCE_DETECTORS:
        assert hit(Sighting(name, "before", "crm/crm-1", 0), LATER, NEXT) == "next"


def test_another_instance_or_another_day_is_no_hit() -> None:
    assert hit(Sighting("silent_source", "before", "crm/crm-2", 0), NEXT) is None
    assert hit(Sighting("silent_source", "before", "crm/crm-1", NEXT.time_us + WITHIN_US + 1), NEXT) is None
    assert hit(Sighting("silent_source", "before", "crm/crm-1", NEXT.time_us + WITHIN_US), NEXT) == "next"


def test_what_is_not_about_a_source_counts_by_its_own_event() -> None:
    assert hit(Sighting("model", "before", "crm/crm-1", 0), NEXT) is None
    assert (
        hit(Sighting("silent_source", "before", "crm/crm-1", 0), Sighting("bulk_export", "x", "crm/crm-1", 0)) is None
    )
