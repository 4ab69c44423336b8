"""The guarded client: whom it does not ask, whatever a name server or the environment says; and its secrets."""

from __future__ import annotations

import ipaddress
import logging
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.channels.addresses import checked_addresses, may_reach, system_addresses
from pipeline.adapters.channels.http import _LOGGERS, _NEVER
from pipeline.adapters.channels.registry import sender_of, senders_of
from pipeline.errors import ConfigError
from pipeline.notifications.outcome import Sent
from pipeline.notifications.secret import Secret
from tests.channel_settings import (
    KINDS,
    NOTIFICATION,
    certificates,
    secret_file,
    settings_of,
    tls_settings_of,
    to_this_machine,
)
from tests.fake_channels import FAULTS, SECRET, START_US, TOKEN, channel

NOT_PUBLIC = [
    "127.0.0.1", "127.8.9.1", "0.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "no address", "",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "114.114.114.114", "2400:3200::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(address, ())


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_reached(address: str) -> None:
    assert may_reach(address, ())


def test_a_listed_network_is_reached_and_no_other() -> None:
    listed = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/64"))
    assert may_reach("10.1.2.3", listed)
    assert may_reach("::ffff:10.1.2.3", listed)
    assert may_reach("fd00::5", listed)
    assert not may_reach("10.2.0.1", listed)
    assert not may_reach("127.0.0.1", listed)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_in_whatever_form_it_comes(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | number))]
    assert {may_reach(form, ()) for form in forms} == {may_reach(str(address), ())}


@given(st.lists(st.sampled_from(PUBLIC + NOT_PUBLIC[:-2]), min_size=1, max_size=4))
def test_one_address_that_may_not_be_reached_refuses_them_all(addresses: list[str]) -> None:
    found, failure = checked_addresses("a.test", 443, (), lambda host, port: addresses, 5)
    if all(may_reach(one, ()) for one in addresses):
        assert (found, failure) == (addresses, "")
    else:
        assert (found, failure) == ((), "address_not_allowed")


def test_a_name_that_has_no_address_and_a_resolver_that_never_answers_are_told_apart_by_nobody() -> None:
    def fails(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    assert checked_addresses("a.test", 443, (), fails, 5) == ((), "name_unknown")
    assert checked_addresses("a.test", 443, (), lambda host, port: [], 5) == ((), "name_unknown")
    assert system_addresses("127.0.0.1", 80) == ["127.0.0.1"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_a_public_name_that_leads_inside_gets_no_message(kind: str, address: str, tmp_path: Path) -> None:
    with channel(kind, certificates(tmp_path)) as fake:
        settings = replace(tls_settings_of(kind, tmp_path, fake), allow_private=())
        sent = sender_of(settings, lambda host, port: ["8.8.8.8", address]).send(NOTIFICATION, 1, START_US)
    assert sent == Sent("retry", "address_not_allowed")
    assert sent.is_channels_fault
    assert fake.requests == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_is_asked_once_an_attempt_so_that_no_second_answer_counts(kind: str, tmp_path: Path) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with channel(kind, certificates(tmp_path)) as fake:
        settings = tls_settings_of(kind, tmp_path, fake)
        sender = sender_of(settings, rebinding)
        assert sender.send(NOTIFICATION, 1, START_US).outcome == "delivered"
        assert asked == ["channel.test"]
        assert sender.send(NOTIFICATION, 2, START_US) == Sent("retry", "address_not_allowed")
    assert len(fake.taken) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_that_does_not_answer_is_followed_by_the_next(kind: str, tmp_path: Path) -> None:
    with channel(kind, certificates(tmp_path)) as fake:
        sender = sender_of(tls_settings_of(kind, tmp_path, fake), lambda host, port: ["127.0.0.7", "127.0.0.1"])
        assert sender.send(NOTIFICATION, 1, START_US).outcome == "delivered"
    assert len(fake.taken) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_is_not_listed_is_not_asked(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        settings = replace(settings_of(kind, tmp_path, fake.port), allow_hosts=("other.test",))
        assert sender_of(settings).send(NOTIFICATION, 1, START_US) == Sent("retry", "host_not_allowed")
    assert fake.taken == []


def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with channel("webhook") as fake, channel("webhook") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (
            sender_of(settings_of("webhook", tmp_path, fake.port)).send(NOTIFICATION, 1, START_US).outcome
            == "delivered"
        )
    assert (len(fake.requests), len(proxy.requests)) == (1, 0)


def test_authorities_that_are_no_certificates_are_refused_with_the_channels_name(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    settings = settings_of("webhook", tmp_path, 1, ca_file="ca.pem")
    with pytest.raises(ConfigError, match=r"\[channels\.oncall\] ca_file") as refused:
        senders_of({"oncall": settings, "other": replace(settings, name="other")})
    assert len(refused.value.faults) == 2


# -- secrets


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_logged_shown_or_raised(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in _LOGGERS:
        caplog.set_level(logging.DEBUG, name)
    shown: list[str] = []
    with channel(kind, certificates(tmp_path)) as fake:
        settings = tls_settings_of(kind, tmp_path, fake, timeout_s=0.4)
        sender = sender_of(settings, to_this_machine)
        shown += [repr(settings), f"{settings}", repr(sender), repr(vars(sender))]
        for fault in FAULTS:
            if kind == "smtp" and fault == "redirect":
                continue
            fake.faults = [fault]
            shown.append(repr(sender.send(NOTIFICATION, 1, START_US)))
    assert all(secret not in text for text in (*shown, caplog.text) for secret in (TOKEN, SECRET))


def test_the_client_alone_would_log_a_robots_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The test above would notice: without the filter the address, and the token in it, stand in the log."""
    caplog.set_level(logging.DEBUG, "httpx")
    logger = logging.getLogger("httpx")
    with channel("wecom") as fake:
        sender = sender_of(settings_of("wecom", tmp_path, fake.port))
        logger.removeFilter(_NEVER)
        try:
            sender.send(NOTIFICATION, 1, START_US)
        finally:
            logger.addFilter(_NEVER)
    assert TOKEN in caplog.text
    assert httpx.__version__.startswith("0.28.")


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret("hush")
    assert "hush" not in f"{secret} {secret!r} {secret!s} {[secret]} {secret:>20}"
    assert secret.reveal() == "hush"
    assert secret == Secret("hush") != Secret("other")
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_secret_that_is_wrong_is_not_repeated_in_the_fault(tmp_path: Path) -> None:
    name = secret_file(tmp_path, "whole", f"https://hooks.slack.com/services?x={TOKEN}")
    with pytest.raises(ConfigError) as refused:
        settings_of("slack", tmp_path, 1, token_file=name)
    assert "[channels.oncall] token_file must hold a token alone" in str(refused.value)
    assert TOKEN not in str(refused.value)
