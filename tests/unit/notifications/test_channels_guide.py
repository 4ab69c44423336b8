"""The guide on channels: its settings are read, its table is the code's, its receiver accepts what we send."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.channels.registry import sender_of
from pipeline.notifications.config import KINDS, channels_from
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
