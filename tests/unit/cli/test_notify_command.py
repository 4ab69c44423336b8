"""accesstrail notify: a test message as a person sends it, to channels that check and misbehave; no secret is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters import accounts as accounts_module
from pipeline.adapters.account_secrets import Passwords
from pipeline.cli import main
from pipeline.cli.acting import TOKEN_FILE_VARIABLE, now_us
from pipeline.errors import EXIT_CONFIG, EXIT_DATA, EXIT_FORBIDDEN, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from pipeline.notifications import policy
from pipeline.notifications.code_words import CODE_WORDS
from pipeline.notifications.outcome import SET_UP_WRONGLY
from pipeline.response import containment_writer, sending
from tests.channel_settings import table_of
from tests.fake_channels import SECRET, TOKEN, FakeChannel, http_channel
from tests.unit.cli.test_users_command import _CONFIG, Desk, run

_ROOT = Path(__file__).resolve().parents[3]


def toml_of(name: str, table: dict[str, Any]) -> str:
    """A channel's table as it stands in the file."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join([f"[channels.{name}]", *lines, ""])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An admin and li.wei of the SOC."""
    cheap = Passwords(time_cost=1, memory_kib=8, parallelism=1)
    monkeypatch.setattr(accounts_module, "Passwords", lambda: cheap)
    monkeypatch.delenv(TOKEN_FILE_VARIABLE, raising=False)
    made = Desk(tmp_path)
    first = ("add", "root.admin", "--first", "--reason", "first", "--password-file", made.password)
    assert run(*first, "--state", made.state) == EXIT_OK
    made.token("root.admin")
    made.add("li.wei", "soc")
    made.add("wu.ling", "auditor")
    (tmp_path / "directory").mkdir()
    return made


def configured(desk: Desk, fake: FakeChannel, kind: str = "slack") -> Path:
    """A channel `chat`, and the receiver `stop` of containment."""
    chat = toml_of("chat", table_of(kind, desk.folder, fake.port, timeout_s=2))
    stop = toml_of("stop", table_of("webhook", desk.folder, fake.port))
    told = '[incidents.severity.high]\nchannels = ["chat"]\n[incidents.severity.critical]\nchannels = ["chat"]\n'
    return desk.file("config.toml", f'{_CONFIG}[response]\ncontainment = "stop"\n{chat}{stop}{told}')


def notify(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["notify", *map(str, words)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize("kind", ["slack", "dingtalk", "webhook"])
def test_a_test_arrives_and_says_who_sent_it(kind: str, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with http_channel(kind) as fake:
        fake.now_us = now_us()
        config = configured(desk, fake, kind)
        capsys.readouterr()
        words = ("test", "chat", "--config", config, "--token-file", desk.folder / "li.wei.token")
        assert notify(*words) == EXIT_OK
        assert notify(*words, "--json") == EXIT_OK
    assert fake.refusals == []
    assert len(fake.taken) == 2
    assert "li.wei" in fake.requests[0].body.decode()
    plain, answer = capsys.readouterr().out.splitlines()
    assert plain.startswith("chat: delivered (ok, HTTP 20")
    assert json.loads(answer)["words"] == {"en": "delivered", "zh": "已送达"}


@pytest.mark.parametrize(
    ("fault", "code", "exit_code"),
    [
        ("unauthorized", "unauthorized", EXIT_CONFIG), ("redirect", "redirected", EXIT_CONFIG),
        ("server_error", "server_error", EXIT_UNAVAILABLE), ("cut", "cut_off", EXIT_UNAVAILABLE),
        ("too_many", "too_many", EXIT_UNAVAILABLE), ("content", "bad_request", EXIT_DATA),
    ],
)  # fmt: skip
def test_what_does_not_arrive_is_told_in_words_without_a_secret(
    fault: str, code: str, exit_code: int, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with http_channel("slack") as fake:
        fake.faults = [fault] * 2
        words = ("test", "chat", "--config", configured(desk, fake), "--token-file", desk.folder / "li.wei.token")
        assert notify(*words) == notify(*words, "--json") == exit_code
    shown = capsys.readouterr()
    assert CODE_WORDS[code].en in shown.out
    assert CODE_WORDS[code].zh in shown.out
    assert TOKEN not in shown.out + shown.err
    assert SECRET not in shown.out + shown.err


def test_it_takes_an_account_with_the_role_and_a_channel_that_is_read(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with http_channel("slack") as fake:
        config = configured(desk, fake)
        assert notify("test", "chat", "--config", config) == EXIT_FORBIDDEN
        assert (
            notify("test", "chat", "--config", config, "--token-file", desk.folder / "wu.ling.token") == EXIT_FORBIDDEN
        )
        token = ("--config", config, "--token-file", desk.folder / "li.wei.token")
        assert notify("test", "phone", *token) == EXIT_USAGE
        assert notify("test", "stop", *token) == EXIT_USAGE
    shown = capsys.readouterr().err
    assert "the configuration has: chat" in shown
    assert "stops accounts" in shown
    assert fake.requests == []


def test_channels_are_listed_with_who_is_told_and_without_secrets(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with http_channel("slack") as fake:
        config = configured(desk, fake)
    capsys.readouterr()
    assert notify("channels", "--config", config) == EXIT_OK
    shown = capsys.readouterr().out
    assert notify("channels", "--config", config, "--json") == EXIT_OK
    listed = capsys.readouterr().out
    rows = [json.loads(line) for line in listed.splitlines()]
    assert [(row["channel"], row["kind"], row["told"]) for row in rows] == [
        ("chat", "slack", ["high", "critical"]), ("stop", "webhook", ["containment"]),
    ]  # fmt: skip
    assert "127.0.0.1" in shown
    for secret in (TOKEN, SECRET, "/services"):
        assert secret not in shown + listed


def test_a_wrong_channel_is_refused_with_its_name(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    config = desk.file("config.toml", f'{_CONFIG}[channels.chat]\nkind = "pigeon"\n[channels.mail]\nkind = "smtp"\n')
    assert notify("channels", "--config", config) == EXIT_CONFIG
    shown = capsys.readouterr().err
    assert "[channels.chat]" in shown
    assert "[channels.mail]" in shown


def _codes(of: Callable[[str], list[str]]) -> set[str]:
    sources = [*(_ROOT / "pipeline" / "adapters" / "channels").glob("*.py")]
    sources.append(_ROOT / "pipeline" / "notifications" / "outcome.py")
    return {code for path in sources for code in of(path.read_text(encoding="utf-8"))}


def test_every_code_that_a_delivery_can_end_with_has_words() -> None:
    made = r'Sent\((?:RETRY|REFUSED|DELIVERED), "([a-z_]+)"'
    failures = r'(?:failure ?= ?|return |\(\), |else |or |_judged\()"([a-z_]+)"'
    codes = _codes(lambda text: re.findall(made, text) + re.findall(failures, text)) - {"timestamp", "trigger"}
    ours = {policy.DUPLICATE, policy.GIVEN_UP, policy.DIGEST, sending.UNREADABLE, sending.UNKNOWN_CHANNEL}
    assert set(CODE_WORDS) >= codes | ours | SET_UP_WRONGLY | {"too_many", containment_writer.EXPIRED}
    assert set(CODE_WORDS) - codes - ours - SET_UP_WRONGLY == {"too_many", containment_writer.EXPIRED}
    for words in CODE_WORDS.values():
        assert re.search("[\u4e00-\u9fff]", words.zh)
        assert not re.search("[\u4e00-\u9fff]", words.en)
