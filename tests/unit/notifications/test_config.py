"""Settings of channels: every fault at once, each with its channel's name, none with a secret."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.notifications.config import KINDS, Endpoint, MailSettings, channels_from, read_channels
from pipeline.notifications.secret import Secret
from pipeline.private_files import LONGEST_BYTES
from tests.channel_settings import secret_file, settings_of, table_of

SECRETS = ("token-of-the-channel", "secret-of-the-channel")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in zip(("token", "secret"), SECRETS, strict=True):
        secret_file(tmp_path, name, text)
    return tmp_path


def faults_of(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        channels_from(tomllib.loads(text)["channels"], folder)
    assert not any(secret in str(refused.value) for secret in SECRETS)
    return refused.value.faults


def test_a_vendors_channel_needs_its_files_and_nothing_else(folder: Path) -> None:
    text = """
    [channels.chat]
    kind = "dingtalk"
    token_file = "token"
    secret_file = "secret"
    """
    chat = channels_from(tomllib.loads(text)["channels"], folder)["chat"]
    assert chat.endpoint == Endpoint("https", "oapi.dingtalk.com", 443, "/robot/send")
    assert chat.allow_hosts == ("oapi.dingtalk.com",)
    assert (chat.token, chat.secret) == tuple(map(Secret, SECRETS))
    assert (chat.language, chat.limits.rate_per_minute, chat.allow_private) == ("zh", 20, ())


def test_a_mail_channel(folder: Path) -> None:
    text = """
    [channels.mail]
    kind = "smtp"
    host = "Mail.Company.Test"
    allow_hosts = ["mail.company.test"]
    allow_private = ["10.1.0.0/16"]
    from = "accesstrail@company.test"
    to = ["oncall@company.test", "dpo@company.test"]
    username = "accesstrail"
    secret_file = "secret"
    language = "both"
    """
    mail = channels_from(tomllib.loads(text)["channels"], folder)["mail"]
    assert mail.endpoint == Endpoint("smtp", "mail.company.test", 587)
    assert mail.mail == MailSettings(
        sender="accesstrail@company.test",
        recipients=("oncall@company.test", "dpo@company.test"),
        security="starttls",
        username="accesstrail",
    )
    assert mail.allow_private == (ipaddress.ip_network("10.1.0.0/16"),)


def test_every_fault_of_every_channel_is_listed_with_its_name(folder: Path) -> None:
    (folder / "token").chmod(0o644)
    faults = faults_of(
        folder,
        """
        [channels.pager]
        kind = "pagerduty"
        token_file = "token"
        language = "fr"
        colour = "red"
        [channels.mail]
        kind = "smtp"
        from = "Company <a@company.test>"
        security = "hope"
        [channels.chat]
        kind = "icq"
        [channels."Bad Name"]
        kind = "slack"
        """,
    )
    names = list(dict.fromkeys(fault.split("]")[0] for fault in faults))
    assert names == ["[channels.pager", "[channels.mail", "[channels.chat", "[channels.'Bad Name'"]
    text = "\n".join(faults)
    for expected in (
        f"[channels.pager] token_file {folder / 'token'} can be read by others: run chmod 600 on it",
        "[channels.pager] language must be one of zh, en, both",
        "[channels.pager] colour is not a known setting",
        "[channels.mail] host is missing",
        "[channels.mail] from must be one mail address, without a name",
        "[channels.mail] to must list at least one mail address",
        "[channels.mail] security must be one of starttls, tls, none",
        "[channels.chat] kind must be one of webhook,",
        "[channels.'Bad Name'] a channel's name is",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"url": "http://8.8.8.8/hook", "allow_hosts": ["8.8.8.8"]}, "without TLS only this machine"),
        ({"url": "http://localhost.evil.test/", "allow_hosts": ["localhost.evil.test"]}, "without TLS only this"),
        ({"allow_private": None}, "without TLS it needs a loopback network"),
        ({"url": "https://other.test/hook"}, "its host other.test is not in allow_hosts"),
        ({"url": "https://user:pass@127.0.0.1/"}, "url must be https://HOST"),
        ({"url": "https://127.0.0.1/?token=5"}, "url must be https://HOST"),
        ({"url": "https://127.0.0.1/#a"}, "url must be https://HOST"),
        ({"url": "https://127.0.0.1/\u00e9"}, "url must be https://HOST"),
        ({"url": "https://127.0.0.1/a b"}, "url must be https://HOST"),
        ({"url": "ftp://127.0.0.1/"}, "url must be https://HOST"),
        ({"url": "https://127.0.0.1:99999/"}, "the port must be 1 to 65535"),
        ({"url": 5}, "url must be a non-empty text"),
        ({"url": None}, "url is missing"),
        ({"secret_file": None}, "secret_file is missing"),
        ({"secret_file": "absent"}, "absent is no file"),
        ({"secret_file": "."}, "is no file"),
        ({"allow_private": ["10.0.0.1/8"]}, "allow_private must list networks"),
        ({"allow_private": "10.0.0.0/8"}, "allow_private must be a list of texts"),
        ({"rate_per_minute": 0}, "rate_per_minute must be a whole number from 1 to 6,000"),
        ({"timeout_s": True}, "timeout_s must be a number"),
        ({"timeout_s": float("nan")}, "timeout_s must be a number"),
        ({"ca_file": "absent.pem"}, "ca_file: no file at"),
        ({"token": "abc"}, "token is not a known setting"),
        ({"kind": None}, "kind is missing"),
    ],
)
def test_a_fault_is_told(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_of("webhook", tmp_path, 8080, **changes)
    assert [one for one in refused.value.faults if one.startswith("[channels.oncall] ") and fault in one]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"to": ["a@b.test\r\nBcc: c@d.test"]}, "to must list mail addresses"),
        ({"to": ["Name <a@b.test>"]}, "to must list mail addresses"),
        ({"to": ["a..b@c.test"]}, "to must list mail addresses"),
        ({"from": "a@b@c.test"}, "from must be one mail address"),
        ({"username": "accesstrail"}, "username and secret_file belong together"),
        ({"host": "mail.test\n", "allow_hosts": ["mail.test\n"]}, "host must be the name"),
        ({"host": "mail.test", "allow_hosts": ["mail.test"]}, "without TLS only this machine"),
        ({"port": 0}, "port must be a whole number from 1 to 65,535"),
    ],
)
def test_a_fault_of_a_mail_channel_is_told(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_of("smtp", tmp_path, 2525, **changes)
    assert [one for one in refused.value.faults if fault in one]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"), (b"  \n", "is empty"), (b"two\nlines", "must hold one line"), (b"\xff\xfe", "is no UTF-8"),
        (b"a\x00b", "must hold one line"), (b"x" * (LONGEST_BYTES + 1), "is longer than"),
    ],
)  # fmt: skip
def test_a_secret_file_holds_one_secret_and_nothing_else(content: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=fault):
        settings_of("webhook", tmp_path, 8080, secret_file="odd")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_a_secret_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    (tmp_path / secret_file(tmp_path, "open", "hush-hush")).chmod(mode)
    with pytest.raises(ConfigError, match="run chmod 600") as refused:
        settings_of("webhook", tmp_path, 8080, secret_file="open")
    assert "hush-hush" not in str(refused.value)


def test_channels_without_a_fault_are_read_beside_those_with_one(tmp_path: Path) -> None:
    good = table_of("webhook", tmp_path, 8080)
    found, faults = read_channels({"good": good, "bad": {**good, "colour": 1}, "odd": 5}, tmp_path)
    assert list(found) == ["good"]
    assert faults == [
        "[channels.bad] colour is not a known setting",
        "[channels.odd] must be a table",
    ]


def test_every_vendors_address_is_in_its_own_list() -> None:
    for kind in KINDS.values():
        assert not kind.url or kind.url.split("/")[2] in kind.hosts
