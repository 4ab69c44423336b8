"""CloudTrail: the mapping on small records of our own, and on real ones where they are at hand."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InvalidEvent
from pipeline.events import AccessEvent
from pipeline.sources.cloudtrail import decode_cloudtrail, split_delivered_files
from pipeline.sources.cloudtrail_actions import action_of
from pipeline.sources.records import Line
from pipeline.stages.decode import REASONS, decode_event, decode_values

RECEIVED_AT_US = 1_795_000_000_000_000
ACCOUNT = "111122223333"


def record(**fields: Any) -> dict[str, Any]:
    """A small CloudTrail record; `fields` replace or, where `...`, remove."""
    base: dict[str, Any] = {
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAEXAMPLE",
            "userName": "alice",
        },
        "eventTime": "2024-05-06T10:15:30Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.15",
        "requestParameters": {"bucketName": "customers", "key": "2024/list.csv"},
        "responseElements": None,
        "requestID": "R1",
        "eventID": "0b6d2b0e-0a3e-4b60-8f0e-1d9a7d2f3c11",
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
    }
    base.update(fields)
    return {name: value for name, value in base.items() if value is not ...}


def converted(**fields: Any) -> AccessEvent:
    """The event that the stream makes of a record."""
    return decode_event(json.dumps(decode_cloudtrail(json.dumps(record(**fields)).encode())).encode(), RECEIVED_AT_US)


def test_a_record_says_who_did_what_to_what_from_where() -> None:
    event = converted()
    assert event.event_id == "0b6d2b0e-0a3e-4b60-8f0e-1d9a7d2f3c11"
    assert (event.source_system, event.source_instance) == ("aws:s3", f"eu-west-1/{ACCOUNT}")
    assert (event.action, event.outcome, event.channel, event.endpoint) == ("download", "success", "api", "GetObject")
    assert (event.actor_id, event.actor_type) == (f"arn:aws:iam::{ACCOUNT}:user/alice", "employee")
    assert (event.actor_org, event.credential_id, event.session_id) == (ACCOUNT, "AKIAEXAMPLE", None)
    assert (event.resource_type, event.resource_id) == ("aws:s3:object", "customers/2024/list.csv")
    assert (event.src_ip, event.app_id, event.trace_id) == ("198.51.100.7", None, "R1")


@pytest.mark.parametrize(
    ("name", "read_only", "action"),
    [
        ("GetObject", True, "download"),
        ("HeadBucket", True, "read"),
        ("DescribeInstances", True, "read"),
        ("ListBuckets", True, "list"),
        ("SearchInsights", True, "search"),
        ("PutObject", False, "create"),
        ("RunInstances", False, "create"),
        ("ModifyInstanceAttribute", False, "update"),
        ("UpdateFunctionCode20150331v2", False, "update"),
        ("AddPermission20150331v2", False, "grant"),
        ("DeleteBucket", False, "delete"),
        ("TerminateInstances", False, "delete"),
        ("ConsoleLogin", False, "login"),
        ("AssumeRole", True, "login"),
        ("AttachUserPolicy", False, "grant"),
        ("PutUserPolicy", False, "grant"),
        ("AddUserToGroup", False, "grant"),
        ("CreateAccessKey", False, "grant"),
        ("PutBucketPolicy", False, "policy_change"),
        ("Decrypt", True, "decrypt"),
        ("GetSecretValue", True, "unmask"),
        ("StopLogging", False, "log_control"),
        ("DeleteTrail", False, "log_control"),
        ("UpdateTrail", False, "log_control"),
        ("PutEventSelectors", False, "log_control"),
        ("LookupEvents", True, "audit_query"),
        ("CopySnapshot", False, "export"),
        ("ExportSnapshot", False, "export"),
        ("ImportKeyMaterial", False, "import"),
        ("ModifySnapshotAttribute", False, "share"),
        ("Frobnicate", True, "read"),
        ("Frobnicate", False, "update"),
    ],
)
def test_a_call_has_the_action_of_the_table(name: str, read_only: bool, action: str) -> None:
    assert action_of(name, read_only=read_only, with_decryption=False) == action


def test_a_parameter_in_clear_text_is_an_unmasking() -> None:
    assert converted(eventName="GetParameter", requestParameters={"withDecryption": True}).action == "unmask"
    assert converted(eventName="GetParameter", requestParameters={"withDecryption": False}).action == "read"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AccessDenied", "denied"),
        ("AccessDeniedException", "denied"),
        ("Client.UnauthorizedOperation", "denied"),
        ("UnauthorizedOperation", "denied"),
        ("ThrottlingException", "error"),
        ("NoSuchBucketPolicy", "error"),
    ],
)
def test_an_error_is_a_refusal_or_a_failure(code: str, outcome: str) -> None:
    event = converted(errorCode=code)
    assert event.outcome == outcome
    assert event.denial_reason == (code if outcome == "denied" else None)
    assert event.attrs is not None
    assert event.attrs["error_code"] == code


def test_a_failed_console_login_is_denied_and_says_how() -> None:
    event = converted(
        eventName="ConsoleLogin",
        eventSource="signin.amazonaws.com",
        eventType="AwsConsoleSignIn",
        responseElements={"ConsoleLogin": "Failure"},
        errorMessage="Failed authentication",
        additionalEventData={"MFAUsed": "No"},
    )
    assert (event.action, event.outcome, event.denial_reason) == ("login", "denied", "Failed authentication")
    assert (event.channel, event.mfa) == ("ui", False)


def role(session: str, **more: Any) -> dict[str, Any]:
    name = more.pop("role", "Support")
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"},
            "attributes": {"mfaAuthenticated": "true", "creationDate": "2024-05-06T10:00:00Z"},
        },
        **more,
    }


def test_a_role_taken_by_a_person_keeps_the_person() -> None:
    event = converted(userIdentity=role("alice"))
    assert event.actor_id == f"arn:aws:sts::{ACCOUNT}:assumed-role/Support/alice"
    assert (event.session_id, event.mfa, event.actor_type) == ("ASIAEXAMPLE", True, "employee")
    sso = converted(userIdentity=role("alice@example.com", role="AWSReservedSSO_Support_1a2b"))
    assert sso.on_behalf_of == "alice@example.com"


def test_a_session_named_by_a_machine_does_not_make_a_new_actor() -> None:
    names = ("botocore-session-1715000000", "1715000001123", "aws-go-sdk-1715000002000000000")
    events = [converted(userIdentity=role(name)) for name in names]
    assert {event.actor_id for event in events} == {f"arn:aws:iam::{ACCOUNT}:role/Support"}


@pytest.mark.parametrize(
    ("identity", "fields", "actor", "kind"),
    [
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, {}, "ec2.amazonaws.com", "service"),
        ({"invokedBy": "cloudtrail.amazonaws.com", "accountId": ACCOUNT}, {}, "cloudtrail.amazonaws.com", "service"),
        ({"type": "AWSAccount", "principalId": "AIDA9", "accountId": "999988887777"}, {}, "AIDA9", "partner"),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}, {},
         f"arn:aws:iam::{ACCOUNT}:root", "admin"),
        ({"accountId": ACCOUNT}, {}, ACCOUNT, "employee"),
        (None, {"sourceIPAddress": "health.amazonaws.com"}, "health.amazonaws.com", "service"),
        (None, {"sourceIPAddress": ...}, "unknown", "service"),
        (role("i-0123456789a"), {}, f"arn:aws:sts::{ACCOUNT}:assumed-role/Support/i-0123456789a", "service"),
    ],
)  # fmt: skip
def test_every_identity_gives_an_actor(identity: Any, fields: dict[str, Any], actor: str, kind: str) -> None:
    event = converted(userIdentity=identity, **fields)
    assert (event.actor_id, event.actor_type) == (actor, kind)


def test_a_services_name_as_source_address_is_the_application() -> None:
    event = converted(sourceIPAddress="secretsmanager.amazonaws.com")
    assert (event.src_ip, event.app_id) == (None, "secretsmanager.amazonaws.com")


def test_a_grant_names_who_receives_what() -> None:
    parameters = {"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    event = converted(eventName="AttachUserPolicy", eventSource="iam.amazonaws.com", requestParameters=parameters)
    assert (event.action, event.resource_type, event.resource_id) == ("grant", "account:aws:user", "bob")
    assert event.attrs is not None
    assert event.attrs["role"] == "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.mark.parametrize(("item", "kind"), [({"userId": "999988887777"}, "external"), ({"group": "all"}, "public")])
def test_a_share_names_the_recipient(item: dict[str, str], kind: str) -> None:
    parameters = {"snapshotId": "snap-1", "createVolumePermission": {"add": {"items": [item]}}}
    event = converted(eventName="ModifySnapshotAttribute", requestParameters=parameters)
    assert (event.action, event.resource_id, event.recipient_type) == ("share", "snap-1", kind)
    assert event.recipient_id == next(iter(item.values()))


def test_listed_resources_come_before_parameters() -> None:
    resources = [{"ARN": "arn:aws:s3:::customers", "type": "AWS::S3::Bucket", "accountId": ACCOUNT}]
    event = converted(resources=resources)
    assert (event.resource_type, event.resource_id) == ("aws:s3:bucket", "arn:aws:s3:::customers")


def test_without_any_resource_the_account_is_the_resource() -> None:
    event = converted(eventName="ListBuckets", requestParameters=None)
    assert (event.resource_type, event.resource_id) == ("aws:s3", ACCOUNT)


def test_without_a_usable_id_the_whole_record_gives_one() -> None:
    first, again, other = (converted(eventID="?", requestID=request) for request in ("a", "a", "b"))
    assert first.event_id == again.event_id != other.event_id


def test_long_identifiers_stay_different_and_long_texts_are_cut() -> None:
    events = [converted(requestParameters={"bucketName": "b", "key": "x" * 1000 + end}) for end in "12"]
    assert len({event.resource_id for event in events}) == 2
    assert all(len(event.resource_id) == 512 for event in events)
    assert len(converted(userAgent="x" * 1000).user_agent or "") == 512


@pytest.mark.parametrize("time", ["2024-05-06 10:15:30.000000000", "2024-05-06T10:15:30", "2024-05-06T10:15:30.000Z"])
def test_times_of_log_shippers_are_utc(time: str) -> None:
    shipped = converted(**{"eventTime": ..., "@timestamp": time})
    assert shipped.event_time_us == converted().event_time_us


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "empty"),
        (b"{", "bad_json"),
        (b"[]", "wrong_type"),
        (b"{}", "missing_field"),
        (json.dumps(record(eventTime=...)).encode(), "missing_field"),
        (json.dumps(record(eventName=...)).encode(), "missing_field"),
        (json.dumps(record(eventSource=7)).encode(), "missing_field"),
        (b" " * 921_601, "too_large"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "too_deep"),
    ],
)
def test_what_is_no_record_is_refused_with_a_reason(value: bytes, code: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode_cloudtrail(value)
    assert (caught.value.code, str(caught.value)) == (code, REASONS[code])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NESTED = ("userIdentity", "requestParameters", "responseElements", "additionalEventData", "resources")
INNER = ("arn", "type", "accountId", "sessionContext", "attributes", "invokedBy", "bucketName", "key", "userName",
         "ARN", "launchPermission", "add", "items", "valuesToAdd", "bytesTransferredOut", "accessKeyId")  # fmt: skip


@settings(max_examples=200)
@given(data=st.data())
def test_any_shape_gives_a_valid_event_or_a_reason(data: st.DataObject) -> None:
    fields: dict[str, Any] = data.draw(st.dictionaries(st.sampled_from(sorted(record())), ANYTHING, max_size=4))
    for name in data.draw(st.sets(st.sampled_from(NESTED))):
        fields[name] = data.draw(st.dictionaries(st.sampled_from(INNER), ANYTHING, max_size=4))
    fields["eventName"] = data.draw(st.sampled_from(["GetObject", "ModifyImageAttribute", "AttachUserPolicy", "X"]))
    sent = json.dumps(record(**fields)).encode()
    try:
        event = decode_cloudtrail(sent)
    except InvalidEvent as exc:
        assert exc.code in {"missing_field", "out_of_bounds", "lone_surrogate"}  # noqa: PT017  any of these will do
        return
    try:
        decode_event(json.dumps(event).encode(), RECEIVED_AT_US)
    except InvalidEvent as exc:
        assert exc.code in {"bad_time", "time_out_of_range"}  # noqa: PT017  a time that is none is nobody's fault


def test_a_delivered_file_is_split_into_its_records() -> None:
    delivered = json.dumps({"Records": [record(requestID=str(number)) for number in range(3)]}).encode()
    lines = list(split_delivered_files([Line("a", 1, delivered), Line("b", 7, b'{"Records":7}'), Line("b", 8, None)]))
    assert [(line.path, line.number) for line in lines] == [("a", 1), ("a", 2), ("a", 3), ("b", 7), ("b", 8)]
    assert [decode_cloudtrail(line.data or b"")["trace_id"] for line in lines[:3]] == ["0", "1", "2"]


# Real records


@pytest.fixture(scope="module")
def real_records() -> Path:
    folder = Path(os.environ.get("ACCESSTRAIL_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not (folder / "cloudtrail_invictus.jsonl.gz").is_file():
        pytest.skip("no real records here: set ACCESSTRAIL_TEST_DATA to their folder")
    return folder


def stored(events: list[dict[str, Any]]) -> list[AccessEvent]:
    """The events as the stream accepts them: all of them."""
    values = [json.dumps(event).encode() for event in events]
    decoded = decode_values(values, np.full(len(values), RECEIVED_AT_US))
    assert Counter(rejected.reason for rejected in decoded.rejected) == {}
    return decoded.events


@pytest.mark.real_data
def test_all_real_cloudtrail_records_become_events(real_records: Path) -> None:
    with gzip.open(real_records / "cloudtrail_invictus.jsonl.gz") as lines:
        originals = [line.rstrip(b"\n") for line in lines]
    events = stored([decode_cloudtrail(line) for line in originals])
    parsed = [json.loads(line) for line in originals]
    assert len(events) == 2900
    assert len({event.event_id for event in events}) == 2900
    outcomes = Counter(event.outcome for event in events)
    assert outcomes["denied"] + outcomes["error"] == 300 == sum("errorCode" in one for one in parsed)
    denied = Counter(event.denial_reason for event in events if event.outcome == "denied")
    assert denied == {"Client.UnauthorizedOperation": 44, "AccessDenied": 16}
    assert sum((event.attrs or {}).get("error_code") == "ThrottlingException" for event in events) == 102
    keys = [one["userIdentity"].get("accessKeyId") for one in parsed]
    assert sum(event.credential_id is not None for event in events) == 2816 - keys.count("") == 2815
    assert sum(event.trace_id is None for event in events) == 5
    assert sum("stratus" in (event.user_agent or "") for event in events) == 1146
    assert [event.event_time for event in events] == [one["eventTime"] for one in parsed]


@pytest.mark.real_data
def test_actions_of_real_records_agree_with_their_names(real_records: Path) -> None:
    with gzip.open(real_records / "cloudtrail_invictus.jsonl.gz") as lines:
        parsed = [json.loads(line) for line in lines]
    names = Counter(one["eventName"] for one in parsed)
    clear = sum((one["requestParameters"] or {}).get("withDecryption") is True for one in parsed)
    actions = Counter(event["action"] for event in (decode_cloudtrail(json.dumps(one).encode()) for one in parsed))
    assert actions["decrypt"] == names["Decrypt"] == 178
    assert actions["unmask"] == names["GetSecretValue"] + names["GetPasswordData"] + clear
    assert actions["login"] == names["AssumeRole"] + names["ConsoleLogin"] + names["CheckMfa"] == 52
    assert actions["list"] == sum(count for name, count in names.items() if name.startswith("List"))
    assert actions["audit_query"] == names["LookupEvents"] == 2
    stopped = names["StopLogging"] + names["StartLogging"] + names["DeleteTrail"] + names["CreateTrail"]
    other = ("PutEventSelectors", "CreateFlowLogs", "DeleteFlowLogs", "DeleteLogGroup")
    assert actions["log_control"] == stopped + sum(names[name] for name in other)


@pytest.mark.real_data
def test_records_that_passed_a_log_shipper_become_events(real_records: Path) -> None:
    with zipfile.ZipFile(real_records / "otrf_ec2_proxy_s3_exfiltration.zip") as packed:
        lines = packed.read(packed.namelist()[0]).splitlines()
    events = stored([decode_cloudtrail(line) for line in lines if line.strip()])
    assert len(events) == 103
    actions = Counter(event.action for event in events)
    assert (actions["download"], actions["login"]) == (2, 5)


@pytest.mark.real_data
def test_edge_cases_of_rule_authors_become_events_or_are_refused_for_want_of_a_time(real_records: Path) -> None:
    with gzip.open(real_records / "panther_rule_tests.jsonl.gz") as lines:
        logs = [one["log"] for one in map(json.loads, lines) if one["log_type"] == "AWS.CloudTrail"]
    fates: Counter[str] = Counter()
    for log in logs:
        try:
            decode_event(json.dumps(decode_cloudtrail(json.dumps(log).encode())).encode(), RECEIVED_AT_US)
            fates["valid"] += 1
        except InvalidEvent as exc:
            fates[exc.code] += 1
    incomplete = sum(not all(log.get(name) for name in ("eventTime", "eventName", "eventSource")) for log in logs)
    assert fates == {"valid": 461 - incomplete - 2, "missing_field": incomplete, "bad_time": 2}
