"""Links: what we signed and nothing else, for as long as it holds."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.incidents.records import Acknowledge, encode_command, parse_record
from pipeline.notifications.message import MAX_LINK
from pipeline.notifications.secret import Secret
from pipeline.response.links import VALID_S, Links, open_links
from tests.fake_channels import START_US

BASE = "https://respond.company.test"
INCIDENT = "7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90"
LINKS = Links(Secret("s" * 64), BASE)


def token_of(links: Links = LINKS, incident_id: str = INCIDENT, channel: str = "chat", at_us: int = START_US) -> str:
    return links.link(incident_id, channel, at_us).removeprefix(f"{BASE}/i/")


@given(st.uuids(), st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True), st.integers(0, 2**52))
def test_a_link_says_what_it_was_made_of(incident_id: UUID, channel: str, at_us: int) -> None:
    link = LINKS.link(str(incident_id), channel, at_us)
    assert len(link) < MAX_LINK
    claim = LINKS.verify(link.removeprefix(f"{BASE}/i/"), at_us)
    assert claim is not None
    assert (claim.incident_id, claim.channel, claim.by) == (str(incident_id), channel, f"link:{channel}")
    assert claim.expires_s == at_us // 1_000_000 + VALID_S


def test_it_is_valid_for_seven_days() -> None:
    end_us = (START_US // 1_000_000 + 7 * 86_400) * 1_000_000
    assert LINKS.verify(token_of(), end_us - 1) is not None
    assert LINKS.verify(token_of(), end_us) is None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_anywhere_makes_it_none(place: int, change: int) -> None:
    token = token_of()
    signed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    signed[place % len(signed)] ^= change
    assert LINKS.verify(base64.urlsafe_b64encode(signed).rstrip(b"=").decode(), START_US) is None


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda some: base64.urlsafe_b64encode(some).decode()))
def test_anything_else_is_none(token: str) -> None:
    assert LINKS.verify(token, START_US) is None


def test_of_all_spellings_of_a_token_one_is_taken() -> None:
    token = token_of(channel="chat1")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + letter for letter in alphabet] + [token + "=", token + "\n", " " + token, token + "AAAA"]
    assert [one for one in others if LINKS.verify(one, START_US)] == [token]


def test_another_secret_is_another_door() -> None:
    assert Links(Secret("t" * 64), BASE).verify(token_of(), START_US) is None


def test_its_command_is_one_command_until_the_incident_is_reopened() -> None:
    claim = LINKS.verify(token_of(), START_US)
    assert claim is not None
    given_first, again, reopened = (claim.command("default", "default:abc", n, START_US) for n in (0, 0, 1))
    assert given_first == again
    assert given_first.command_id != reopened.command_id
    other = LINKS.verify(token_of(channel="mail"), START_US)
    assert other is not None
    assert other.command_id(0) != claim.command_id(0)
    read = parse_record(b"default:abc", encode_command(given_first))
    assert isinstance(read, Acknowledge)
    assert (read.incident_id, read.by, read.is_by_person) == (INCIDENT, "link:chat", True)


# -- the secret


def test_the_secret_is_made_once_for_its_owner_alone_and_shared(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "links.key"
    token = token_of(open_links(path, BASE))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert open_links(path, BASE).verify(token, START_US) is not None
    assert path.read_text().strip() not in repr(open_links(path, BASE).__dict__.values())


def test_without_a_base_there_are_no_links_and_no_secret(tmp_path: Path) -> None:
    links = open_links(tmp_path / "links.key", "")
    assert links.link(INCIDENT, "chat", START_US) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "mode"), [("", 0o600), ("secret\n", 0o644), ("two\nlines\n", 0o600)])
def test_a_secret_that_is_none_is_refused(text: str, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError) as refusal:
        open_links(path, BASE)
    assert "secret\n" not in str(refusal.value)
    with pytest.raises(ConfigError, match="cannot be made"):
        open_links(tmp_path / "links.key" / "x", BASE)
