"""Enrich: values as of the event's own time, from the directory where it knows, else from the event."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.base import NO_LOCATION, EventArrays
from pipeline import events as words
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.directory import DirectorySnapshot
from pipeline.directory.snapshot import GeoRow, NetworkRow, ResourceRow, SubjectRow
from pipeline.directory.work_items import WorkItems
from pipeline.events import AccessEvent
from pipeline.stages.enrich import EnrichMemory, enrich, ip_prefixes, text_hash
from pipeline.stages.protect import Protector, protect
from tests.enriching import DAY, KEYRING, REQUIRED, SITES, actor, lists, run, texts, token, word


def test_every_enriched_column_and_every_array_is_filled_in_its_own_type() -> None:
    arrays, batch = run({}, {"subject_ids": ["c-1"], "src_ip": "10.0.0.1"}, actors=(actor(),))
    for spec in ACCESS_EVENT_COLUMNS:
        if spec.origin == "enrich" and spec.kind == "fixed":
            assert batch.fixed(spec.name).dtype == spec.dtype, spec.name
            assert len(batch.fixed(spec.name)) == 2
        elif spec.origin == "enrich":
            assert len(texts(batch, spec.name)) == 2
    types = {
        "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64, "I32": np.int32, "I64": np.int64,
        "F32": np.float32,
    }  # fmt: skip
    for array in fields(EventArrays):
        value = getattr(arrays, array.name)
        if isinstance(value, np.ndarray):
            assert value.dtype == types[str(array.type)], array.name
            assert value.shape == (1 if array.name == "subjects" else 2,), array.name


def test_an_empty_directory_leaves_what_the_event_said() -> None:
    arrays, batch = run(
        {"actor_dept": "sales", "actor_org": "acme", "src_ip": "8.8.8.8", "src_country": "SG", "src_city": "Singapore"},
        sites=(),
    )
    assert texts(batch, "actor_dept") == ["sales"]
    assert texts(batch, "src_country") == ["SG"]
    assert texts(batch, "src_city") == ["Singapore"]
    assert arrays.country.tolist() == [int.from_bytes(b"SG", "big")]
    assert word(words.ACTOR_STATUSES, arrays.actor_status[0]) == "unlisted"
    assert word(words.NETWORK_KINDS, arrays.network_kind[0]) == "unlisted"
    assert arrays.peer_groups[arrays.peer_group_ids[0]] == "type:employee"
    assert (arrays.tenure_days[0], arrays.days_to_leave[0]) == (-1, 32767)
    assert arrays.latitude[0] == NO_LOCATION


def test_the_directory_wins_over_the_event_about_the_actor() -> None:
    arrays, batch = run(
        {"actor_dept": "sales", "actor_role": "boss"},
        {"actor_id": "nobody", "actor_dept": "sales"},
        {"actor_id": "blank", "actor_dept": "sales"},
        actors=(actor(), actor("blank", department="", role="")),
    )
    assert texts(batch, "actor_dept") == ["service", "sales", "sales"]
    assert texts(batch, "actor_role") == ["agent", "", ""]
    groups = [arrays.peer_groups[number] for number in arrays.peer_group_ids]
    assert groups == ["service/agent", "type:employee", "type:employee"]


def test_actors_of_another_tenant_are_not_confused() -> None:
    arrays, _ = run({"tenant_id": "other"}, {}, actors=(actor(),))
    assert [word(words.ACTOR_STATUSES, number) for number in arrays.actor_status] == ["unlisted", "active"]
    assert arrays.actor_keys[0] == b"other\0" + KEYRING.token("other", "actor", "zhang.wei")
    assert arrays.actor_keys[1] == b"default\0" + token("actor", "zhang.wei")


@pytest.mark.parametrize(
    ("changed", "status", "tenure", "to_leave"),
    [
        ({}, "active", -1, 32767),
        ({"hired_on": DAY - 10}, "active", 10, 32767),
        ({"hired_on": DAY + 1}, "unlisted", -1, 32767),
        ({"leaves_on": DAY}, "active", -1, 0),
        ({"leaves_on": DAY - 1}, "left", -1, -1),
        ({"leaves_on": DAY + 30, "status": "left"}, "active", -1, 30),
        ({"status": "left"}, "left", -1, 32767),
        ({"status": "on_leave"}, "on_leave", -1, 32767),
        ({"leaves_on": DAY - 100_000}, "left", -1, -32767),
    ],
)
def test_the_status_is_that_of_the_day_of_the_event(
    changed: dict[str, Any], status: str, tenure: int, to_leave: int
) -> None:
    arrays, _ = run({}, actors=(actor(**changed),))
    assert word(words.ACTOR_STATUSES, arrays.actor_status[0]) == status
    assert (arrays.tenure_days[0], arrays.days_to_leave[0]) == (tenure, to_leave)


NETWORKS = (
    NetworkRow("10.0.0.0/8", "vpn", "", "CN", ""),
    NetworkRow("10.20.0.0/16", "office", "sh", "", ""),
    NetworkRow("10.20.3.7/32", "partner", "", "US", "New York"),
    NetworkRow("2001:db8::/32", "cloud", "ny", "", ""),
    NetworkRow("8.8.0.0/16", "home", "", "", ""),
)
GEO = (GeoRow("8.8.8.0/24", "US", "Mountain View", 37.4, -122.1), GeoRow("9.9.9.0/24", "CH", "Zurich", 47.4, 8.5))


@pytest.mark.parametrize(
    ("address", "kind", "site", "country", "city", "latitude"),
    [
        ("10.1.1.1", "vpn", "", "CN", "", None),
        ("10.20.1.1", "office", "sh", "CN", "Shanghai", 31.2),
        ("10.20.3.7", "partner", "", "US", "New York", 40.7),
        ("2001:db8::1", "cloud", "ny", "US", "New York", 40.7),
        ("9.9.9.9", "unlisted", "", "CH", "Zurich", 47.4),
        ("::ffff:9.9.9.9", "unlisted", "", "CH", "Zurich", 47.4),
        ("11.1.1.1", "unlisted", "", "JP", "Tokyo", None),
        ("8.8.8.8", "home", "", "JP", "Tokyo", None),
        ("2001:db9::1", "unlisted", "", "JP", "Tokyo", None),
    ],
)
def test_an_address_is_placed_by_its_longest_prefix_then_geo_then_the_event(
    address: str, kind: str, site: str, country: str, city: str, latitude: float | None
) -> None:
    arrays, batch = run(
        {"src_ip": address, "src_country": "JP", "src_city": "Tokyo"} if country == "JP" else {"src_ip": address},
        networks=NETWORKS,
        geo=GEO,
    )
    assert word(words.NETWORK_KINDS, arrays.network_kind[0]) == kind
    assert texts(batch, "network_site") == [site]
    assert texts(batch, "src_country") == [country]
    assert texts(batch, "src_city") == [city]
    assert arrays.latitude[0] == np.float32(NO_LOCATION if latitude is None else latitude)


def test_private_addresses_are_never_looked_up_in_the_geo_table() -> None:
    arrays, batch = run({"src_ip": "192.168.1.1"}, geo=(GeoRow("0.0.0.0/0", "US", "Anywhere", 1.0, 1.0),))
    assert texts(batch, "src_country") == [""]
    assert arrays.latitude[0] == NO_LOCATION


def test_an_absent_address_has_no_network() -> None:
    arrays, batch = run({}, networks=NETWORKS)
    assert arrays.network_kind[0] == 0
    assert arrays.ip_prefix[0] == 0
    assert texts(batch, "network_site") == [""]


def test_address_prefixes_are_equal_within_a_24_and_a_48_only() -> None:
    def prefix(address: str) -> int:
        return int(ip_prefixes(Protector(KEYRING, partitions=1).addresses.tokens([address], 1))[0])

    assert prefix("10.20.3.7") == prefix("10.20.3.200") != prefix("10.20.4.7")
    assert prefix("2001:db8:1::1") == prefix("2001:db8:1:ffff::2") != prefix("2001:db8:2::1")
    assert prefix("::1") != 0


def item(
    case: str, who: str = "zhang.wei", subject: str | None = "c-1", opened: str = "10:00", closed: str | None = None
) -> list[Any]:
    def moment(text: str) -> int:
        return round(datetime.fromisoformat(f"2026-11-20T{text}:00+08:00").timestamp()) * 1_000_000

    return [
        token("case", case).hex(), token("actor", who).hex(), token("subject", subject).hex() if subject else "",
        moment(opened), moment(closed) if closed else None, "ticket",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "rows", "verdict"),
    [
        ({}, [], "not_yet_explained"),
        ({"case_ref": "T-1"}, [], "claimed"),
        ({"approval_ref": "A-1"}, [], "claimed"),
        ({"case_ref": "T-1"}, [item("T-1")], "explained"),
        ({"case_ref": "T-1"}, [item("T-1", subject=None)], "explained"),
        ({"case_ref": "T-1"}, [item("T-1", subject="c-9")], "claimed"),
        ({"case_ref": "T-1"}, [item("T-1", who="li.na")], "claimed"),
        ({"case_ref": "T-1"}, [item("T-2")], "claimed"),
        ({"case_ref": "T-1"}, [item("T-1", subject="c-9"), item("T-1")], "explained"),
        ({"case_ref": "T-1", "subject_ids": ["c-5", "c-1"]}, [item("T-1")], "explained"),
        ({"case_ref": "T-1", "subject_ids": None}, [item("T-1")], "claimed"),
        ({}, [item("T-1")], "explained"),
        ({}, [item("T-1", who="li.na")], "not_yet_explained"),
        ({}, [item("T-1", subject="c-9")], "not_yet_explained"),
        ({}, [item("T-1", subject=None)], "not_yet_explained"),
        ({"subject_ids": ["c-5", "c-1"]}, [item("T-1")], "explained"),
        ({"case_ref": "T-1"}, [item("T-1", opened="10:20")], "explained"),
        ({"case_ref": "T-1"}, [item("T-1", opened="10:21")], "claimed"),
        ({"case_ref": "T-1"}, [item("T-1", opened="09:00", closed="10:00")], "explained"),
        ({"approval_ref": "A-1"}, [item("T-1")], "explained"),
    ],
)
def test_an_access_is_explained_by_a_work_item_of_its_actor_and_subject(
    given: dict[str, Any], rows: list[list[Any]], verdict: str
) -> None:
    fields_ = {"subject_ids": ["c-1"], **given}
    arrays, batch = run(
        {name: value for name, value in fields_.items() if value is not None}, work_items=WorkItems.from_rows(rows)
    )
    assert word(words.EXPLAINED, arrays.explained[0]) == verdict
    assert batch.fixed("explained").tolist() == arrays.explained.tolist()
    assert bool(arrays.approved[0]) == ("approval_ref" in given)


def test_a_closed_item_explains_for_24_hours_after_it_was_opened() -> None:
    items = WorkItems.from_rows([item("T-1", opened="09:00", closed="09:30")])
    given = {"subject_ids": ["c-1"], "case_ref": "T-1"}
    arrays, _ = run(
        {**given, "event_time": "2026-11-21T09:00:00+08:00"},
        {**given, "event_time": "2026-11-21T09:00:01+08:00"},
        work_items=items,
    )
    assert [word(words.EXPLAINED, number) for number in arrays.explained] == ["explained", "claimed"]


def test_many_events_get_the_verdict_each_gets_alone() -> None:
    items = WorkItems.from_rows(
        [
            item(f"T-{number % 7}", who=f"u{number % 3}", subject=f"c-{number % 5}" if number % 4 else None)
            for number in range(40)
        ]
    )
    given = [
        {
            "actor_id": f"u{number % 4}",
            "subject_ids": [f"c-{(number + step) % 11}" for step in range(number % 3)],
            **({"case_ref": f"T-{number % 9}"} if number % 2 else {}),
        }
        for number in range(80)
    ]
    together, _ = run(*given, work_items=items)
    alone = [run(one, work_items=items)[0].explained[0] for one in given]
    assert together.explained.tolist() == alone
    assert len(set(alone)) == 3


def test_sensitivity_and_categories_come_from_the_directory_where_the_event_has_none() -> None:
    resources = (
        ResourceRow("customer_profile", ("mobile", "contact"), 3, "service"),
        ResourceRow("order", (), 0, "sales"),
    )
    arrays, batch = run(
        {},
        {"data_categories": ["health"], "sensitivity": 1},
        {"resource_type": "order"},
        {"resource_type": "unheard_of"},
        {},
        resources=resources,
    )
    assert lists(batch, "data_categories") == [["mobile", "contact"], ["health"], [], [], ["mobile", "contact"]]
    assert arrays.sensitivity.tolist() == batch.fixed("sensitivity").tolist() == [3, 1, 0, 0, 3]


def test_flags_of_event_and_directory_are_merged_once_and_in_order() -> None:
    subjects = (
        SubjectRow(token("subject", "c-1"), "Shanghai", ("minor", "vip")),
        SubjectRow(token("subject", "c-2"), "", ("complaint",)),
    )
    arrays, batch = run(
        {"subject_ids": ["c-1", "c-2", "c-3"], "subject_flags": ["deceased", "vip"]},
        {"subject_ids": ["c-3"]},
        {"subject_flags": ["employee"]},
        {"subject_ids": ["c-2", "c-1"], "subject_region": "Berlin"},
        {"subject_ids": ["c-2", "c-1"]},
        subjects=subjects,
    )
    assert lists(batch, "subject_flags") == [
        ["vip", "minor", "deceased", "complaint"], [], ["employee"], ["vip", "minor", "complaint"],
        ["vip", "minor", "complaint"],
    ]  # fmt: skip
    assert arrays.vip_subjects.tolist() == [2, 0, 1, 2, 2]
    assert arrays.minor_subjects.tolist() == [1, 0, 0, 1, 1]
    assert texts(batch, "subject_region") == ["Shanghai", "", "", "Berlin", "Shanghai"]


def test_subjects_of_another_region_than_the_actors_site_are_marked() -> None:
    given = [{"subject_region": name} for name in ("Shanghai", "CN", "sh", "Berlin")]
    arrays, _ = run(*given, {}, {"actor_id": "nobody", "subject_region": "Berlin"}, actors=(actor(),))
    assert arrays.off_region.tolist() == [0, 0, 0, 1, 0, 0]


def test_looking_at_oneself_is_noticed() -> None:
    own = actor(own_subjects=(token("subject", "c-900"), token("subject", "c-901")))
    arrays, _ = run(
        {"subject_ids": ["c-1", "c-901"]}, {"subject_ids": ["c-1"]}, {"actor_id": "joe", "subject_ids": ["c-900"]},
        actors=(own, actor("joe")),
    )  # fmt: skip
    assert arrays.own_subject.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("given", "external"),
    [
        ({}, 0),
        ({"recipient_type": "internal"}, 0),
        ({"recipient_type": "regulator"}, 0),
        ({"recipient_type": "partner"}, 1),
        ({"recipient_type": "external"}, 1),
        ({"recipient_type": "public"}, 1),
        ({"dst_country": "CN"}, 0),
        ({"dst_country": "SG"}, 1),
    ],
)
def test_data_that_leaves_is_external(given: dict[str, Any], external: int) -> None:
    assert run(given, actors=(actor(),))[0].external.tolist() == [external]


def test_volume_and_unmasking() -> None:
    arrays, _ = run(
        {}, {"action": "search"}, {"outcome": "denied"}, {"records_returned": 0},
        {"records_returned": 9, "bytes_out": 5}, {"action": "unmask"}, {"fields_unmasked": ["mobile"]},
    )  # fmt: skip
    assert arrays.records.tolist() == [1, 0, 0, 0, 9, 0, 1]
    assert arrays.bytes_out.tolist() == [0, 0, 0, 0, 5, 0, 0]
    assert arrays.unmasked.tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_changes_of_accesstrail_itself_are_not_scored_and_those_of_others_are() -> None:
    ours = {"action": "policy_change", "source_system": "accesstrail"}
    arrays, _ = run(
        {**ours, "resource_type": "version_set"},
        {**ours, "resource_type": "accesstrail_account"},
        {**ours, "resource_type": "account"},
        {**ours, "resource_type": "accesstrail_account", "source_system": "crm"},
        {**ours, "resource_type": "accesstrail_account", "action": "read"},
    )
    assert arrays.scorable.tolist() == [0, 0, 1, 1, 1]


def test_heartbeats_are_not_scored_and_other_control_events_are() -> None:
    arrays, _ = run(
        {"action": "log_control", "resource_type": "heartbeat"},
        {"action": "log_control", "resource_type": "ledger"},
        {"resource_type": "heartbeat"},
    )
    assert arrays.scorable.tolist() == [0, 1, 1]


def test_tokens_arrive_as_their_first_halves_and_absent_ones_as_zero() -> None:
    arrays, _ = run({"session_id": "s", "subject_ids": ["c-1", "c-2"], "resource_id": "c-2"}, {})
    assert arrays.session.tolist() == [int.from_bytes(token("session", "s")[:8], "little"), 0]
    expected = [int.from_bytes(token("subject", name)[:8], "little") for name in ("c-1", "c-2")]
    assert arrays.subjects.tolist() == expected
    assert arrays.subject_ends.tolist() == [2, 2]
    assert arrays.resource[0] == expected[1]
    assert arrays.device.tolist() == arrays.case.tolist() == arrays.user_agent.tolist() == [0, 0]


def test_hashes_of_names_are_fixed() -> None:
    assert text_hash("") == 0
    assert text_hash("customer_profile") == 0x4E4D59E252F580A4
    assert run({"endpoint": "/x"}, {})[0].endpoint.tolist() == [text_hash("/x"), 0]


def test_memory_changes_nothing_and_follows_another_snapshot() -> None:
    memory, protector = EnrichMemory(), Protector(KEYRING, partitions=4)
    first, second = DirectorySnapshot(sites=SITES, actors=(actor(),)), DirectorySnapshot(sites=SITES)

    def statuses(snapshot: DirectorySnapshot) -> list[str]:
        one = msgspec.json.decode(json.dumps({**REQUIRED, "actor_dept": "sales"}), type=AccessEvent)
        protected = protect([one], protector)
        arrays = enrich(protected, snapshot, default_time_zone="UTC", memory=memory)
        return [word(words.ACTOR_STATUSES, arrays.actor_status[0]), *texts(protected.columns, "actor_dept")]

    assert statuses(first) == ["active", "service"]
    assert statuses(second) == ["unlisted", "sales"]
    assert statuses(first) == ["active", "service"]
    for table in protector._texts.values():
        table.clear()
        table[None] = 0
        table.interner = type(table.interner)()
    assert statuses(second) == ["unlisted", "sales"]
