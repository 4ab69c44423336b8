"""CloudTrail: one record of AWS's audit log becomes one access event (decoder of `accesstrail ingest`).

Source format: AWS CloudTrail record contents, eventVersion 1.0x (also where a log shipper moved `eventTime` to
`@timestamp`). Flow: a line of a file → `decode_cloudtrail` → the wire's JSON → Kafka → the same decoder as any event.

| access event | CloudTrail |
|---|---|
| event_id | eventID; a UUIDv5 of the whole record where that is absent or no UUID |
| event_time | eventTime, else @timestamp; a time without a zone is UTC, as all times of CloudTrail are |
| source_system | `aws:` + eventSource without `.amazonaws.com` |
| source_instance | awsRegion `/` recipientAccountId (else the identity's account) |
| channel | `ui` where the credential or the user agent is the console's, else `api` |
| action | `cloudtrail_actions`: eventName, then its verb, then readOnly |
| outcome, denial_reason | no errorCode: success; errorCode of refusal: denied, with the code; any other: error. A console login that failed is denied |
| actor_id | userIdentity: arn (of the role where the session's name is a machine's), principalId, invokedBy, account, calling service |
| actor_type | AWS service or instance role: service; other account: partner; root: admin; else employee |
| on_behalf_of | the person behind a role of IAM Identity Center |
| actor_org | account of the identity |
| credential_id, session_id | accessKeyId; a temporary key (`ASIA…`) is also the session |
| mfa | sessionContext.attributes.mfaAuthenticated, or MFAUsed of a console login |
| src_ip, app_id | sourceIPAddress where it is an address; a service's name there, or invokedBy, is the app_id |
| endpoint | eventName |
| resource_type, resource_id | first of resources (`AWS::S3::Bucket` is aws:s3:bucket); else by requestParameters (`_PARAMETERS`, then any name, id or ARN); else service and account. Of a grant: the account that receives it, with `attrs.role` |
| recipient_id, recipient_type | of a share: the other account, or public |
| bytes_out | additionalEventData.bytesTransferredOut |
| trace_id | requestID |
| attrs.error_code, attrs.event_type | errorCode, eventType |

Texts longer than the wire allows are cut; identifiers keep a digest of the whole at the end, so two stay two.
"""  # noqa: E501  a table row is one line

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any
from uuid import UUID, uuid5

import msgspec

from pipeline.errors import InvalidEvent
from pipeline.sources.cloudtrail_actions import action_of
from pipeline.sources.records import Line
from pipeline.stages.decode import MAX_VALUE_BYTES, REASONS, syntax_fault

JsonObject = Mapping[str, Any]

MAX_DELIVERED_FILE_BYTES = 64 * 1024 * 1024
"""Bound of one line: a file that CloudTrail delivers is one line that holds all its records."""

_NAMESPACE = UUID("8d3c1b0e-9b0f-5e55-9a5e-0c6f3c1f6d21")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_ZONELESS = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)", re.ASCII).fullmatch
_REFUSED = re.compile(r"AccessDenied|Unauthori[sz]ed|NotAuthorized|Forbidden|AuthFailure|InvalidClientTokenId")
_CONSOLE_AGENTS = ("console.amazonaws.com", "signin.amazonaws.com", "S3Console", "AWS-Console", "aws-internal/console")
_MACHINE_SESSION = re.compile(r"(botocore-session-|aws-go-sdk-|aws-sdk-js-session-|session-)?\d{9,}").fullmatch
_INSTANCE_SESSION = re.compile(r"m?i-[0-9a-f]{8,}").fullmatch
_SSO_ROLE = ":assumed-role/AWSReservedSSO_"

# requestParameters → kind of resource, the most telling first
_PARAMETERS: tuple[tuple[str, str], ...] = (
    ("secretId", "secret"), ("bucketName", "bucket"), ("keyId", "key"), ("functionName", "function"),
    ("tableName", "table"), ("dBSnapshotIdentifier", "db_snapshot"), ("dBInstanceIdentifier", "db_instance"),
    ("snapshotId", "snapshot"), ("imageId", "image"), ("volumeId", "volume"), ("instanceId", "instance"),
    ("userName", "user"), ("roleName", "role"), ("groupName", "group"), ("roleArn", "role"), ("policyArn", "policy"),
    ("logGroupName", "log_group"), ("trailName", "trail"), ("vpcId", "vpc"), ("subnetId", "subnet"),
    ("groupId", "group"), ("name", "named"),
)  # fmt: skip
_ANY_IDENTIFIER = re.compile(r"(name|id|arn|identifier)s?$", re.IGNORECASE).search
_RECEIVERS = (("userName", "user"), ("roleName", "role"), ("groupName", "group"), ("functionName", "function"))
_ROLES = ("policyArn", "policyName", "groupName", "instanceProfileName", "statementId", "permissionSetArn")


def decode_cloudtrail(record: bytes) -> dict[str, Any]:
    """Maps one CloudTrail record (JSON object, at most 900 KiB) to the fields of an access event.

    Raises: InvalidEvent: not JSON, or without eventName, eventSource or a time; `code` as in the decoder's REASONS.
    """
    return access_event(_parsed(record), uuid5(_NAMESPACE, hashlib.sha256(record).hexdigest()))


class _DeliveredFile(msgspec.Struct):
    """What CloudTrail writes to a bucket: all records of some minutes in one object."""

    records: list[msgspec.Raw] = msgspec.field(name="Records")


_delivered_file = msgspec.json.Decoder(_DeliveredFile)


def split_delivered_files(lines: Iterable[Line]) -> Iterator[Line]:
    """One line a record, whether a file holds records line by line or is one object with `Records`.

    Of the latter the numbers count records, since all lie on one line.
    """
    for line in lines:
        if line.data is None or b'"Records"' not in line.data[:64]:
            yield line
            continue
        try:
            records = _delivered_file.decode(line.data).records
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield line
            continue
        for number, record in enumerate(records, start=1):
            yield replace(line, number=number, data=bytes(record))


def access_event(record: JsonObject, fallback_id: UUID) -> dict[str, Any]:
    """The fields of the access event that says what a parsed CloudTrail record says; absent ones are left out."""
    name, source = _text(record.get("eventName"), 256), _text(record.get("eventSource"), 120)
    time = _time(record.get("eventTime") or record.get("@timestamp"))
    if name is None or source is None or time is None:
        raise InvalidEvent(REASONS["missing_field"], code="missing_field")
    identity, parameters = _object(record, "userIdentity"), _object(record, "requestParameters")
    event_id = _text(record.get("eventID"), 64) or ""
    service = source.removesuffix(".amazonaws.com")
    fields: dict[str, Any] = {
        "schema_version": 1,
        "event_id": event_id if _UUID(event_id) else str(fallback_id),
        "event_time": time,
        "source_system": f"aws:{service}",
        "source_instance": _text("/".join(filter(None, (_region(record), _account(record)))), 128),
        "channel": "ui" if _is_console(record) else "api",
        "action": action_of(
            name,
            read_only=record.get("readOnly") in (True, "true"),
            with_decryption=parameters.get("withDecryption") is True,
        ),
        "endpoint": name,
        "user_agent": _text(record.get("userAgent"), 512),
        "trace_id": _text(record.get("requestID"), 64),
        **_outcome(record),
        **_actor(record, identity),
        **_origin(record, identity),
    }
    fields.update(_resource(record, parameters, service, fields))
    fields.update(_share(parameters) if fields["action"] == "share" else {})
    return {field: value for field, value in fields.items() if value is not None}


def _parsed(record: bytes) -> JsonObject:
    if len(record) > MAX_VALUE_BYTES:
        raise InvalidEvent(REASONS["too_large"], code="too_large")
    fault = syntax_fault(record)
    if fault is not None:
        raise InvalidEvent(REASONS[fault], code=fault)
    parsed = msgspec.json.decode(record)
    if not isinstance(parsed, dict):
        raise InvalidEvent(REASONS["wrong_type"], code="wrong_type")
    return parsed


def _object(record: JsonObject, name: str) -> JsonObject:
    """A nested object, empty where it is absent, null or something else."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object, maximum: int) -> str | None:
    """A text cut to `maximum` characters, without U+0000; None where it is none or empty."""
    return value.replace("\0", "")[:maximum] or None if isinstance(value, str) else None


def _time(value: object) -> str | None:
    """RFC 3339 of a CloudTrail time; log shippers write it with a space and without a zone."""
    text = _text(value, 64)
    form = _ZONELESS(text) if text else None
    return f"{form[1]}T{form[2]}Z" if form else text


def _identifier(value: object, maximum: int) -> str | None:
    """As `_text`, but what must be cut ends in a digest of the whole: two identifiers never become one."""
    text = _text(value, MAX_VALUE_BYTES)
    if text is None or len(text) <= maximum:
        return text
    return f"{text[: maximum - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _region(record: JsonObject) -> str | None:
    return _text(record.get("awsRegion"), 64)


def _account(record: JsonObject) -> str | None:
    """The account whose log this is."""
    return _text(record.get("recipientAccountId"), 60) or _text(_object(record, "userIdentity").get("accountId"), 60)


def _is_console(record: JsonObject) -> bool:
    agent = record.get("userAgent")
    return (
        record.get("sessionCredentialFromConsole") in (True, "true")
        or record.get("eventType") in ("AwsConsoleSignIn", "AwsConsoleAction")
        or (isinstance(agent, str) and any(mark in agent for mark in _CONSOLE_AGENTS))
    )


def _outcome(record: JsonObject) -> dict[str, Any]:
    error = _text(record.get("errorCode"), 128)
    attrs = {"error_code": error, "event_type": _text(record.get("eventType"), 128)}
    kept = {"attrs": {key: value for key, value in attrs.items() if value is not None} or None}
    if error is not None:
        denied = _REFUSED.search(error) is not None
        return {"outcome": "denied" if denied else "error", "denial_reason": error if denied else None, **kept}
    if "Failure" in (_object(record, "responseElements").get(name) for name in ("ConsoleLogin", "CheckMfa")):
        return {"outcome": "denied", "denial_reason": _text(record.get("errorMessage"), 128) or "Failure", **kept}
    return {"outcome": "success", **kept}


def _actor(record: JsonObject, identity: JsonObject) -> dict[str, Any]:
    arn, kind = _text(identity.get("arn"), MAX_VALUE_BYTES), identity.get("type")
    context = _object(identity, "sessionContext")
    session_name = arn.rsplit("/", 1)[-1] if arn and ":assumed-role/" in arn else ""
    if _MACHINE_SESSION(session_name):
        arn = _text(_object(context, "sessionIssuer").get("arn"), MAX_VALUE_BYTES) or arn
    account, invoked_by = _text(identity.get("accountId"), 128), _text(identity.get("invokedBy"), 256)
    caller = _text(record.get("sourceIPAddress"), 256) or "unknown"
    actor = arn or _text(identity.get("principalId"), MAX_VALUE_BYTES) or invoked_by or account or caller
    is_instance = _INSTANCE_SESSION(session_name) is not None or "ec2RoleDelivery" in context
    key = _identifier(identity.get("accessKeyId"), 256)
    return {
        "actor_id": _identifier(actor, 256),
        "actor_type": _actor_type(record, kind, account, is_service=is_instance or actor in (invoked_by, caller)),
        "actor_org": account,
        "on_behalf_of": _identifier(session_name, 256) if arn and _SSO_ROLE in arn else None,
        "credential_id": key,
        "session_id": key if key and key.startswith("ASIA") else None,
        "mfa": _mfa(record, context),
    }


def _actor_type(record: JsonObject, kind: object, account: str | None, *, is_service: bool) -> str:
    if is_service or kind == "AWSService" or record.get("eventType") == "AwsServiceEvent":
        return "service"
    recipient = _text(record.get("recipientAccountId"), 128)
    if kind == "AWSAccount" or (account and recipient and account != recipient):
        return "partner"
    return "admin" if kind == "Root" else "employee"


def _mfa(record: JsonObject, context: JsonObject) -> bool | None:
    said = _object(context, "attributes").get("mfaAuthenticated", _object(record, "additionalEventData").get("MFAUsed"))
    return said.lower() in ("true", "yes") if isinstance(said, str) else None


def _origin(record: JsonObject, identity: JsonObject) -> dict[str, Any]:
    address = _text(record.get("sourceIPAddress"), 128)
    is_address = address is not None and _is_address(address)
    sent = _object(record, "additionalEventData").get("bytesTransferredOut")
    return {
        "src_ip": address if is_address else None,
        "app_id": _text(identity.get("invokedBy"), 128) or (None if is_address else address),
        "bytes_out": int(sent) if isinstance(sent, int | float) and 0 <= sent < 2**63 else None,
    }


def _is_address(text: str) -> bool:
    try:
        IPv6Address(text) if ":" in text else IPv4Address(text)
    except AddressValueError:
        return False
    return "%" not in text


def _resource(record: JsonObject, parameters: JsonObject, service: str, fields: JsonObject) -> dict[str, Any]:
    if fields["action"] == "grant":
        return _receiver(parameters, fields)
    listed = record.get("resources")
    for resource in listed if isinstance(listed, list) else ():
        arn = _identifier(resource.get("ARN"), 512) if isinstance(resource, dict) else None
        if arn is not None:
            kind = (_text(resource.get("type"), 120) or f"aws:{service}").replace("::", ":").lower()
            return {"resource_type": kind, "resource_id": arn}
    bucket, key = parameters.get("bucketName"), parameters.get("key")
    if isinstance(bucket, str) and isinstance(key, str) and bucket and key:
        return {"resource_type": f"aws:{service}:object", "resource_id": _identifier(f"{bucket}/{key}", 512)}
    for name, kind in _PARAMETERS:
        found = _identifier(parameters.get(name), 512)
        if found is not None:
            return {"resource_type": f"aws:{service}:{kind}", "resource_id": found}
    for name, value in parameters.items():
        found = _identifier(value, 512) if _ANY_IDENTIFIER(name) else None
        if found is not None:
            return {"resource_type": f"aws:{service}:{_text(name, 40)}", "resource_id": found}
    return {"resource_type": f"aws:{service}", "resource_id": _account(record) or service}


def _receiver(parameters: JsonObject, fields: JsonObject) -> dict[str, Any]:
    """Whom a grant goes to, and what is granted."""
    kind, receiver = "user", fields["actor_id"]
    for name, named_kind in _RECEIVERS:
        found = _identifier(parameters.get(name), 512)
        if found is not None:
            kind, receiver = named_kind, found
            break
    granted = next((parameters[name] for name in _ROLES if isinstance(parameters.get(name), str)), fields["endpoint"])
    role = _text(granted, 512) or fields["endpoint"]
    return {
        "resource_type": f"account:aws:{kind}",
        "resource_id": receiver,
        "attrs": {**(fields["attrs"] or {}), "role": role},
    }


def _share(parameters: JsonObject) -> dict[str, Any]:
    """With whom an image or snapshot is shared: another account, or everybody."""
    added: list[Any] = []
    for name in ("launchPermission", "createVolumePermission"):
        items = _object(_object(parameters, name), "add").get("items")
        added += items if isinstance(items, list) else []
    listed = parameters.get("valuesToAdd")
    added += listed if isinstance(listed, list) else []
    for one in added:
        account = _text(one.get("userId") or one.get("group") if isinstance(one, dict) else one, 256)
        if account is not None:
            return {"recipient_id": account, "recipient_type": "public" if account == "all" else "external"}
    return {}
