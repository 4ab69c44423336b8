"""The guide on channels: its settings are read, its table is the code's, its receiver accepts what we send."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.acknowledge_page import ASKED_A_MINUTE, MAX_BODY_BYTES
from pipeline.adapters.channels.registry import sender_of
from pipeline.adapters.small_server import MAX_CONNECTIONS, REQUEST_LIMIT_S
from pipeline.cli.acknowledging import LINK_SECRET
from pipeline.incidents.flood import FloodLimits
from pipeline.notifications.config import KINDS, channels_from
from pipeline.response.containment import ContainmentCall
from pipeline.response.links import VALID_S
from pipeline.response.sending import MOST_HELD
from tests.channel_settings import NOTIFICATION, secret_file, settings_of
from tests.fake_channels import SECRET, START_US, http_channel

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "guides" / "channels.md").read_text(encoding="utf-8")


def test_its_example_is_read_without_a_fault(tmp_path: Path) -> None:
    example = GUIDE.split("Secrets are never values")[0]
    toml = "\n".join(line[4:] for line in example.split("\n") if line.startswith("    "))
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r'"(secrets/[a-z-]+)"', toml):
        secret_file(tmp_path, name, "a-secret")
    assert list(channels_from(tomllib.loads(toml)["channels"], tmp_path)) == ["chat", "pager", "mail"]


def test_its_table_names_every_kind_with_its_rate() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|([^|]*)\|([^|]*)\| (\d+) \|", GUIDE, re.MULTILINE)
    assert {row[0]: int(row[3]) for row in rows} == {name: kind.rate_per_minute for name, kind in KINDS.items()}
    for name, token, secret, _ in rows:
        assert (token.strip() == "none") == (KINDS[name].token == "none")
        assert (secret.strip() == "none") == (KINDS[name].secret == "none")


@pytest.mark.parametrize(
    ("late_s", "secret", "is_fine"), [(0, SECRET, True), (301, SECRET, False), (0, "other", False)]
)
def test_its_receiver_accepts_what_is_sent_and_nothing_else(
    late_s: int, secret: str, is_fine: bool, tmp_path: Path
) -> None:
    scope: dict[str, Any] = {}
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(source, scope)  # noqa: S102  # the guide's own text
    with http_channel("webhook") as fake:
        sender_of(settings_of("webhook", tmp_path, fake.port)).send(NOTIFICATION, 1, START_US)
    (request,) = fake.requests
    headers = {name.title(): value for name, value in request.headers.items()}
    now_s = START_US // 1_000_000 + late_s
    assert scope["is_genuine"](headers, request.body, secret.encode(), now_s) is is_fine
    assert not scope["is_genuine"](headers, request.body + b" ", SECRET.encode(), now_s)


def test_its_containment_call_is_the_record_that_is_sent() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert list(json.loads(example)) == sorted(ContainmentCall.__struct_fields__)


def test_what_it_says_of_floods_and_memory_is_the_codes() -> None:
    usual = FloodLimits()
    assert f"({usual.per_minute}, of which {usual.reserved} are kept for critical incidents)" in GUIDE
    assert f"{MOST_HELD:,} messages in memory" in GUIDE


def test_the_guide_of_links_says_what_the_page_does() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs" / "guides" / "incidents.md").read_text(encoding="utf-8")
    assert f"for {VALID_S // 86_400} days" in guide
    assert f"{ASKED_A_MINUTE} requests a minute from one address, {MAX_CONNECTIONS} connections at once" in guide
    assert f"{REQUEST_LIMIT_S:.0f} s for a request, {MAX_BODY_BYTES // 1024} KiB\n  of body" in guide
    assert f"`STATE/{LINK_SECRET}`" in guide
