"""The directory folder: strict, every fault named without its value, and a snapshot that holds tokens only."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from pipeline.adapters import directory as directory_module
from pipeline.adapters.directory import read_directory
from pipeline.directory import DirectorySnapshot
from pipeline.directory.calendar_cn import epoch_day
from pipeline.errors import DirectoryError
from pipeline.privacy.keys import Keyring

KEYRING = Keyring.offline()
FILES = {
    "actors.csv": (
        "actor_id,actor_type,org,department,role,manager_id,site,hired_on,leaves_on,status,mfa_required,"
        "own_subject_ids,trained_until\n"
        "zhang.wei,employee,acme,service,agent,li.na,sh,2020-03-01,2026-12-31,active,true,c-900;c-901,2027-01-01\n"
        "li.na,employee,acme,service,lead,,sh,,,on_leave,,,\n"
    ),
    "sites.csv": "site,country,city,latitude,longitude,time_zone\nsh,CN,Shanghai,31.2,121.5,Asia/Shanghai\n",
    "networks.csv": "cidr,kind,site,country,city\n10.20.0.0/16,office,sh,,\n2001:db8::/32,cloud,,DE,Frankfurt\n",
    "resources.csv": (
        "resource_type,data_categories,sensitivity,owner_department,ids\n"
        "customer_profile,mobile;contact,3,service,person\ninvoice,order,,finance,object\n"
    ),
    "subjects.csv": 'subject_id,region,flags,household\nc-18823,Shanghai,vip;minor,"家庭-7"\nc-2,,,\n',
    "sources.csv": (
        "source_system,source_instance,max_silence_s,owner\ncrm,,600,zhang.wei\nerp,,600,platform team\n"
        "dwh,,600,ops zhou@example.com\n"
    ),
    "partners.csv": (
        "org,contract_id,resource_types,purposes,daily_subject_limit,valid_from,valid_to\n"
        "courier,K-1,order;address,delivery,500,2026-01-01,2026-12-31\n"
    ),
    "purposes.csv": "purpose,departments,resource_types,legal_basis\nsupport,service,customer_profile,contract\n",
    "geo.csv": "cidr,country,city,latitude,longitude\n8.8.8.0/24,US,Mountain View,37.4,-122.1\n",
    "work_items.ndjson": (
        '{"case_ref": "T-55120", "actor_id": "zhang.wei", "subject_id": "c-18823", "kind": "ticket", '
        '"opened_at": "2026-11-20T10:00:00+08:00", "closed_at": null}\n\n'
        '{"case_ref": "JOB-1", "actor_id": "zhang.wei", "subject_id": null, "kind": "bulk", '
        '"opened_at": "2026-11-20T02:00:00Z", "closed_at": "2026-11-20T03:00:00Z"}\n'
    ),
}
IDENTIFIERS = (
    "zhang.wei", "li.na", "c-900", "c-901", "c-18823", "c-2", "家庭-7", "T-55120", "JOB-1", "zhou@example.com",
)  # fmt: skip


def folder(path: Path, **changed: str) -> Path:
    files = {
        **FILES,
        **{name.replace("_csv", ".csv").replace("_ndjson", ".ndjson"): text for name, text in changed.items()},
    }
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(DirectoryError) as caught:
        read_directory(path, KEYRING)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def token(kind: str, identifier: str) -> bytes:
    return KEYRING.token("default", kind, identifier)


def test_every_file_arrives_with_tokens_in_place_of_identifiers(tmp_path: Path) -> None:
    snapshot = read_directory(folder(tmp_path), KEYRING)
    actor = {row.token: row for row in snapshot.actors}[token("actor", "zhang.wei")]
    assert actor.manager == token("actor", "li.na")
    assert actor.own_subjects == (token("subject", "c-900"), token("subject", "c-901"))
    assert (actor.hired_on, actor.leaves_on) == (epoch_day(date(2020, 3, 1)), epoch_day(date(2026, 12, 31)))
    assert actor.mfa_required
    assert snapshot.site_of["sh"].time_zone == "Asia/Shanghai"
    assert [row.cidr for row in snapshot.networks] == ["10.20.0.0/16", "2001:db8::/32"]
    assert snapshot.object_types == {"invoice"}
    subject = {row.token: row for row in snapshot.subjects}[token("subject", "c-18823")]
    assert subject.flags == ("vip", "minor")
    assert subject.household == token("household", "家庭-7")
    assert snapshot.partners[0].daily_subject_limit == 500
    assert snapshot.purposes[0].legal_basis == "contract"
    assert snapshot.geo[0].city == "Mountain View"
    assert len(snapshot.work_items) == 2
    assert snapshot.key_version == KEYRING.version_id


def test_an_empty_folder_is_a_directory_that_knows_nothing(tmp_path: Path) -> None:
    snapshot = read_directory(tmp_path, KEYRING)
    assert not snapshot.actors
    assert not len(snapshot.work_items)
    assert DirectorySnapshot.from_artefacts(snapshot.artefacts()) == snapshot


def test_a_snapshot_is_the_same_after_its_way_through_the_artefacts(tmp_path: Path) -> None:
    snapshot = read_directory(folder(tmp_path), KEYRING)
    artefacts = snapshot.artefacts()
    again = DirectorySnapshot.from_artefacts(artefacts)
    assert again == snapshot
    assert again.artefacts() == artefacts


def test_artefacts_do_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    first = read_directory(folder(tmp_path), KEYRING).artefacts()
    for name, text in FILES.items():
        lines = [line for line in text.splitlines(keepends=True) if line.strip()]
        head, rows = ([], lines) if name.endswith("ndjson") else (lines[:1], lines[1:])
        (tmp_path / name).write_text("".join(head + rows[::-1]), encoding="utf-8")
    assert read_directory(tmp_path, KEYRING).artefacts() == first


def test_no_identifier_is_in_the_artefacts_and_the_search_would_find_one(tmp_path: Path) -> None:
    artefacts = read_directory(folder(tmp_path), KEYRING).artefacts()
    found = b"\n".join(artefacts.values())
    for identifier in IDENTIFIERS:
        assert identifier.encode() not in found, identifier
        assert json.dumps(identifier).strip('"').encode() not in found, identifier
    assert b"platform team" in found, "what is no identifier stays readable, so the search works"


def test_another_key_gives_other_artefacts_only_where_tokens_are(tmp_path: Path) -> None:
    from pipeline.privacy.keys import Key

    other = read_directory(folder(tmp_path), Keyring((Key(1, b"\x01" * 32),)))
    assert other.actors != read_directory(tmp_path, KEYRING).actors
    assert other.networks == read_directory(tmp_path, KEYRING).networks


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="no directory folder"):
        read_directory(tmp_path / "nowhere", KEYRING)


def test_every_fault_of_every_file_is_listed_at_once(tmp_path: Path) -> None:
    found = faults(
        folder(
            tmp_path,
            sites_csv="site,country,city,latitude,longitude,time_zone\nsh,cn,Shanghai,99,121.5,Mars/Base\n",
            networks_csv="cidr,kind,site,country,city\n10.20.0.1/16,office,,,\n10.0.0.0/8,castle,,,\n",
        )
    )
    assert [fault.split(":", 3)[:3] for fault in found] == [
        ["sites.csv", "2", "latitude"],
        ["sites.csv", "2", "latitude"],
        ["sites.csv", "2", "country"],
        ["sites.csv", "2", "time_zone"],
        ["networks.csv", "2", "cidr"],
        ["networks.csv", "3", "kind"],
    ]


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("purposes_csv", "purpose,departments,resource_types\n", "purposes.csv:1:legal_basis: this column is missing"),
        ("purposes_csv", "purpose,departments,resource_types,legal_basis,x\n", "purposes.csv:1: column 5 is unknown"),
        (
            "purposes_csv",
            "purpose,purpose,departments,resource_types,legal_basis\n",
            "purposes.csv:1: a column is named",
        ),
        ("purposes_csv", "", "purposes.csv:1: has no header line"),
        ("purposes_csv", "purpose,departments,resource_types,legal_basis\na,b\n", "purposes.csv:2: has 2 cells"),
        ("purposes_csv", 'purpose,departments,resource_types,legal_basis\n"a,b\n', "purposes.csv:2: is not valid CSV"),
        (
            "purposes_csv",
            "purpose,departments,resource_types,legal_basis\n,,,\n",
            "purposes.csv:2:purpose: must not be",
        ),
        (
            "purposes_csv",
            "purpose,departments,resource_types,legal_basis\na,,,x\n",
            "purposes.csv:2:legal_basis: must be",
        ),
        (
            "purposes_csv",
            "purpose,departments,resource_types,legal_basis\na,,,\na,,,\n",
            "purposes.csv:3:purpose: repeats line 2",
        ),
        (
            "partners_csv",
            "org,contract_id,resource_types,purposes,daily_subject_limit,valid_from,valid_to\no,,,,many,2026-13-01,\n",
            "partners.csv:2:daily_subject_limit: must be a whole number",
        ),
        (
            "partners_csv",
            "org,contract_id,resource_types,purposes,daily_subject_limit,valid_from,valid_to\n"
            "o,,,,,2026-02-01,2026-01-01\n",
            "partners.csv:2:valid_to: is before valid_from",
        ),
        ("subjects_csv", "subject_id,region,flags\nc-1,,tall\n", "subjects.csv:2:flags: may list only"),
        (
            "geo_csv",
            "cidr,country,city,latitude,longitude\n10.0.0.0/8,CN,,,\n",
            "geo.csv:2:cidr: is no range of public",
        ),
        ("work_items_ndjson", "{", "work_items.ndjson:1: is not valid JSON"),
        ("work_items_ndjson", "[]", "work_items.ndjson:1: must be an object"),
        ("work_items_ndjson", '{"colour": 1}', "work_items.ndjson:1: must be an object"),
        (
            "work_items_ndjson",
            '{"case_ref":"T","actor_id":"","kind":"k","opened_at":"2026-01-01T00:00:00Z"}',
            "work_items.ndjson:1:actor_id: must be a non-empty text",
        ),
        (
            "work_items_ndjson",
            '{"case_ref":"T","actor_id":"a","kind":"k","opened_at":"2026-01-01T00:00:00"}',
            "work_items.ndjson:1:opened_at: must be an RFC 3339 time with an offset",
        ),
        (
            "work_items_ndjson",
            '{"case_ref":"T","actor_id":"a","kind":"k","opened_at":"2026-01-02T00:00:00Z",'
            '"closed_at":"2026-01-01T00:00:00Z"}',
            "work_items.ndjson:1:closed_at: is before opened_at",
        ),
    ],
)
def test_a_faulty_line_is_named_with_file_line_and_column(tmp_path: Path, name: str, text: str, where: str) -> None:
    assert any(fault.startswith(where) for fault in faults(folder(tmp_path, **{name: text})))


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        (
            "work_items_ndjson",
            r'{"case_ref":"\ud800","actor_id":"a","kind":"k","opened_at":"2026-01-01T00:00:00Z"}',
            "work_items.ndjson:1:case_ref: holds half of a character",
        ),
        (
            "work_items_ndjson",
            r'{"case_ref":"T","actor_id":"a","kind":"t\udc00","opened_at":"2026-01-01T00:00:00Z"}',
            "work_items.ndjson:1:kind: holds half of a character",
        ),
        (
            "actors_csv",
            f"{FILES['actors.csv'].splitlines()[0]}\nab,employee,,,,,,,,active,,,\nａｂ,employee,,,,,,2020-01-01,,active,,,\n",
            "actors.csv:3:actor_id: repeats line 2",
        ),
        (
            "geo_csv",
            "cidr,country,city,latitude,longitude\n1.2.3.4,CN,,,\n1.2.3.4/32,CN,,1,1\n",
            "geo.csv:3:cidr: repeats line 2",
        ),
    ],
)
def test_what_a_program_wrote_wrong_is_a_fault_of_its_line_too(
    tmp_path: Path, name: str, text: str, where: str
) -> None:
    assert any(fault.startswith(where) for fault in faults(folder(tmp_path, **{name: text})))


def test_a_value_nobody_thought_of_is_a_fault_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sorting(*_: object) -> None:
        raise TypeError("'<' not supported between zhang.wei and None")

    monkeypatch.setattr(directory_module, "DirectorySnapshot", sorting)
    with pytest.raises(DirectoryError, match="TypeError") as caught:
        read_directory(folder(tmp_path), KEYRING)
    assert "zhang" not in str(caught.value)


def test_faults_never_quote_a_value(tmp_path: Path) -> None:
    header = FILES["actors.csv"].splitlines()[0]
    found = faults(folder(tmp_path, actors_csv=f"{header}\nzhang.wei,robot,,,,,,soon,,gone,perhaps,,\n"))
    assert len(found) == 4
    assert not any(word in fault for fault in found for word in ("zhang", "robot", "soon", "gone", "perhaps"))


def test_a_data_line_where_the_header_should_be_is_not_quoted(tmp_path: Path) -> None:
    found = faults(folder(tmp_path, subjects_csv="c-18823,Shanghai,vip\n"))
    assert found
    assert not any("18823" in fault for fault in found)


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "sites.csv").write_bytes(b"site,country,city,latitude,longitude,time_zone\nsh,CN,\xff\xfe,,,\n")
    assert any("sites.csv" in fault and "not UTF-8" in fault for fault in faults(tmp_path))


def test_a_byte_order_mark_and_columns_in_another_order_are_fine(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "sites.csv").write_text(
        "\ufefftime_zone,site,country,city,latitude,longitude\r\n,bj,CN,北京,,\r\n", encoding="utf-8"
    )
    assert read_directory(tmp_path, KEYRING).sites[0].city == "北京"
