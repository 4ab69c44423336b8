"""accesstrail users, and as whom a command runs: as a person at a terminal does it, no server."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pyotp
import pytest
from click.testing import CliRunner

from pipeline.accounts.model import Account
from pipeline.adapters import accounts as accounts_module
from pipeline.adapters.account_secrets import Passwords
from pipeline.cli import main
from pipeline.cli.acting import TOKEN_FILE_VARIABLE, acting, acting_as, acting_together, now_us
from pipeline.cli.options import settings_options
from pipeline.cli.secret_files import read_private, write_private
from pipeline.config import Settings
from pipeline.errors import EXIT_FORBIDDEN, EXIT_OK, EXIT_USAGE, Forbidden, UsageError

PASSWORD, OTHER = "correct horse battery", "quite another staple"


@pytest.fixture(autouse=True)
def _cheap_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that cost little; no token of the environment."""
    cheap = Passwords(time_cost=1, memory_kib=8, parallelism=1)
    monkeypatch.setattr(accounts_module, "Passwords", lambda: cheap)
    monkeypatch.delenv(TOKEN_FILE_VARIABLE, raising=False)


def run(*words: str | Path) -> int:
    """Exit code of one `accesstrail users …`."""
    with pytest.raises(SystemExit) as caught:
        main(["users", *map(str, words)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


class Desk:
    """A state folder, and files of secrets beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.password, self.other = self.file("password", PASSWORD), self.file("other", OTHER)

    def file(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(mode)
        return path

    def token(self, name: str) -> Path:
        path = self.folder / f"{name}.token"
        assert run("token", name, "--out", path, "--password-file", self.password, "--state", self.state) == EXIT_OK
        return path

    def add(self, name: str, *roles: str) -> Path:
        """An account with its owner's own password; returns the file of its token."""
        wanted = [word for role in roles for word in ("--role", role)]
        admin = ("--token-file", self.folder / "root.admin.token", "--state", self.state)
        assert run("add", name, *wanted, "--reason", "t", "--password-file", self.other, *admin) == EXIT_OK
        files = ("--password-file", self.other, "--new-password-file", self.password, "--state", self.state)
        assert run("password", name, *files) == EXIT_OK
        return self.token(name)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    first = ("add", "root.admin", "--first", "--reason", "first", "--password-file", made.password)
    assert run(*first, "--state", made.state) == EXIT_OK
    made.token("root.admin")
    return made


def _lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_the_first_account_hands_out_roles(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.add("li.wei", "soc")
    admin = ("--token-file", desk.folder / "root.admin.token", "--state", desk.state)
    assert run("roles", "li.wei", "--grant", "analyst", "--reason", "learns", *admin) == EXIT_OK
    capsys.readouterr()
    assert run("list", "--json", *admin) == EXIT_OK
    assert {one["name"]: one["roles"] for one in _lines(capsys)} == {
        "li.wei": ["analyst", "soc"], "root.admin": ["admin"],
    }  # fmt: skip
    assert run("list", "--changes", "--json", *admin) == EXIT_OK
    assert [one["what"] for one in _lines(capsys)][:2] == ["roles", "token_made"]


def test_a_token_is_written_0600_and_never_printed_unless_asked(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    file = desk.add("li.wei", "soc")
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    printed = capsys.readouterr()
    assert token not in printed.out + printed.err
    assert run("token", "li.wei", "--show", "--password-file", desk.password, "--state", desk.state) == EXIT_OK
    assert capsys.readouterr().out.startswith("atp_")


def test_a_token_is_made_only_where_it_can_be_kept(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--password-file", desk.password, "--state", desk.state)
    assert run("token", "root.admin", *here) == EXIT_USAGE
    assert run("token", "root.admin", "--out", desk.folder / "root.admin.token", *here) == EXIT_USAGE
    assert run("token", "root.admin", "--out", desk.folder / "nowhere" / "x", *here) == EXIT_USAGE
    assert "is not overwritten" in capsys.readouterr().err
    admin = ("--token-file", desk.folder / "root.admin.token", "--state", desk.state)
    assert run("token", "root.admin", "--list", "--json", *admin) == EXIT_OK
    assert len(_lines(capsys)) == 1


def test_a_revoked_token_opens_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    file = desk.add("li.wei", "soc")
    prefix = file.read_text()[:12]
    mine = ("--token-file", file, "--state", desk.state)
    assert run("token", "li.wei", "--revoke", prefix, "--reason", "lost", *mine) == EXIT_OK
    assert run("token", "li.wei", "--list", *mine) == EXIT_FORBIDDEN
    assert "not valid" in capsys.readouterr().err


def test_a_refusal_names_the_role_and_who_grants_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    soc = ("--token-file", desk.add("li.wei", "soc"), "--state", desk.state)
    capsys.readouterr()
    assert run("add", "x.y", "--role", "soc", "--reason", "t", "--json", *soc) == EXIT_FORBIDDEN
    said = json.loads(capsys.readouterr().err)
    assert said["error"] == "forbidden"
    assert "needs the role admin" in said["message"]
    assert run("token", "root.admin", "--list", *soc) == EXIT_FORBIDDEN


def test_without_accounts_or_token_the_message_says_what_to_do(
    tmp_path: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", "--state", desk.state) == EXIT_FORBIDDEN
    assert "--token-file" in capsys.readouterr().err
    token = ("--token-file", desk.folder / "root.admin.token")
    assert run("list", *token, "--state", tmp_path / "empty") == EXIT_FORBIDDEN
    assert "users add NAME --first" in capsys.readouterr().err


def test_wrong_passwords_lock_the_account(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ("token", "root.admin", "--show", "--password-file", desk.other, "--state", desk.state)
    assert [run(*wrong) for _ in range(6)] == [EXIT_FORBIDDEN] * 6
    assert "try again in" in capsys.readouterr().err
    assert run("token", "root.admin", "--show", "--password-file", desk.password, "--state", desk.state) == (
        EXIT_FORBIDDEN
    )


def test_a_second_factor_is_enrolled_used_and_removed(desk: Desk) -> None:
    mine = ("--password-file", desk.password, "--state", desk.state)
    uri_file, recovery = desk.folder / "uri", desk.folder / "recovery"
    assert run("totp", "root.admin", "--out", uri_file, *mine) == EXIT_OK
    totp = pyotp.TOTP(parse_qs(urlsplit(uri_file.read_text().strip()).query)["secret"][0])
    code = totp.at(now_us() // 1_000_000)
    assert run("totp", "root.admin", "--confirm", code, "--out", recovery, *mine) == EXIT_OK
    assert stat.S_IMODE(recovery.stat().st_mode) == stat.S_IMODE(uri_file.stat().st_mode) == 0o600
    assert run("token", "root.admin", "--show", *mine) == EXIT_FORBIDDEN
    codes = recovery.read_text().split()
    assert run("token", "root.admin", "--show", "--code", codes[0], *mine) == EXIT_OK
    assert run("totp", "root.admin", "--remove", "--reason", "new telephone", "--code", codes[1], *mine) == EXIT_OK
    assert run("token", "root.admin", "--show", *mine) == EXIT_OK


def test_an_admin_disables_enables_and_resets(desk: Desk) -> None:
    token = desk.add("li.wei", "soc")
    admin = ("--token-file", desk.folder / "root.admin.token", "--state", desk.state)
    assert run("disable", "li.wei", "--reason", "leave", *admin) == EXIT_OK
    assert run("token", "li.wei", "--list", "--token-file", token, "--state", desk.state) == EXIT_FORBIDDEN
    assert run("enable", "li.wei", "--reason", "back", *admin) == EXIT_OK
    reset = ("password", "li.wei", "--reset", "--reason", "forgotten", "--new-password-file", desk.other)
    assert run(*reset, *admin) == EXIT_OK
    assert run("token", "li.wei", "--show", "--password-file", desk.other, "--state", desk.state) == EXIT_USAGE


def test_a_password_is_asked_for_without_echo(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def hidden(prompt: str) -> str:
        asked.append(prompt)
        return PASSWORD

    monkeypatch.setattr("click.termui.hidden_prompt_func", hidden)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run("token", "root.admin", "--show", "--state", desk.state) == EXIT_OK
    assert len(asked) == 1
    assert PASSWORD not in str(capsys.readouterr())


# -- as whom a command runs


def test_acting_knows_the_account_of_a_token(desk: Desk) -> None:
    file = desk.add("li.wei", "soc", "analyst")
    assert acting(desk.state, file, "manage_models").name == "li.wei"
    assert acting(desk.state, None, "manage_models", environment={TOKEN_FILE_VARIABLE: str(file)}).name == "li.wei"
    with pytest.raises(Forbidden, match="needs the role auditor"):
        acting(desk.state, file, "export_evidence")


def test_two_person_actions_take_two_accounts(desk: Desk) -> None:
    first, second, soc = desk.add("dpo.one", "dpo"), desk.add("dpo.two", "dpo"), desk.add("li.wei", "soc")
    found = acting_together(desk.state, first, second, "waive_breach_duty")
    assert [one.name for one in found if one] == ["dpo.one", "dpo.two"]
    for other in (None, first, soc):
        with pytest.raises(Forbidden):
            acting_together(desk.state, first, other, "waive_breach_duty")
    assert acting_together(desk.state, first, None, "reveal_identity")[1] is None


_CONFIG = """
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[clickhouse]
migrator_password_file = "password"
writer_password_file = "password"
reader_password_file = "password"
[protection]
token_keys_file = "password"
[detection]
directory = "directory"
[accesstrail]
state_dir = "state"
"""


def test_one_line_puts_an_account_in_front_of_a_command(desk: Desk) -> None:
    @click.command()
    @settings_options
    @acting_as("manage_models")
    def promote(settings: Settings, account: Account) -> None:
        click.echo(f"promoted by {account.name} in {settings.state_dir.name}")

    (desk.folder / "directory").mkdir()
    config = desk.file("config.toml", _CONFIG)
    analyst, soc = desk.add("wu.ling", "analyst"), desk.add("li.wei", "soc")
    refused, done = (
        CliRunner().invoke(promote, ["--config", str(config), "--token-file", str(token)]) for token in (soc, analyst)
    )
    assert isinstance(refused.exception, Forbidden)
    assert refused.output == ""
    assert done.output == "promoted by wu.ling in state\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(desk: Desk, mode: int) -> None:
    with pytest.raises(UsageError, match="chmod 600"):
        read_private(desk.file("open", "x", mode), "token file")


def test_what_is_wrong_with_a_file_of_a_secret_is_told_with_its_purpose(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"the password file {tmp_path / 'absent'} is no file"):
        read_private(tmp_path / "absent", "password file")


def test_a_private_file_is_never_written_over_or_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        with pytest.raises(UsageError):
            write_private(tmp_path / name, "new")
    assert (tmp_path / "there").read_text() == "old"
    assert not (tmp_path / "elsewhere").exists()
