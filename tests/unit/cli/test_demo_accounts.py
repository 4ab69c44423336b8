"""The demo's accounts: commands act by a token alone, people sign in as everywhere, nobody can hand out rights."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pipeline.adapters.account_secrets import CODE_STEP_S, Credentials
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.acting import acting, now_us
from pipeline.cli.demo_accounts import TOKEN_NAME, demo_accounts, show_sign_in
from pipeline.errors import Forbidden
from tests.accounts import cheap_passwords


def test_the_commands_account_acts_by_its_token_and_has_no_right_beyond_its_roles(tmp_path: Path) -> None:
    demo_accounts(tmp_path, passwords=cheap_passwords())
    file = tmp_path / TOKEN_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert acting(tmp_path, file, "contain_actor").name == "demo.commands"
    for beyond in ("manage_accounts", "reveal_identity", "export_evidence", "run_system"):
        with pytest.raises(Forbidden):
            acting(tmp_path, file, beyond)
    with open_accounts(tmp_path, passwords=cheap_passwords()) as accounts:
        assert accounts.tokens("demo.admin") == ()


def test_people_sign_in_with_password_and_code_at_once_and_each_code_is_taken_once(tmp_path: Path) -> None:
    shown = demo_accounts(tmp_path, passwords=cheap_passwords())
    assert [one.name for one in shown] == ["demo.responder", "demo.privacy"]
    with open_accounts(tmp_path, passwords=cheap_passwords()) as accounts:
        for one in shown:
            at_us = now_us()
            account = accounts.logins.login(one.name, Credentials(one.password, one.code(at_us)), at_us)
            assert account.totp_enrolled
            with pytest.raises(Forbidden):
                accounts.logins.login(one.name, Credentials(one.password, one.code(at_us)), at_us)
            later_us = at_us + CODE_STEP_S * 1_000_000
            accounts.logins.login(one.name, Credentials(one.password, one.code(later_us)), later_us)


def test_without_the_code_a_password_opens_nothing(tmp_path: Path) -> None:
    (responder, _) = demo_accounts(tmp_path, passwords=cheap_passwords())
    with open_accounts(tmp_path, passwords=cheap_passwords()) as accounts, pytest.raises(Forbidden):
        accounts.logins.login(responder.name, Credentials(responder.password, None), now_us())


def test_what_is_shown_holds_address_accounts_and_codes_and_no_two_demos_share_a_password(tmp_path: Path) -> None:
    said: list[str] = []
    one = demo_accounts(tmp_path / "a", passwords=cheap_passwords())
    two = demo_accounts(tmp_path / "b", passwords=cheap_passwords())
    show_sign_in("http://127.0.0.1:1", one, said.append)
    text = "\n".join(said)
    for account in one:
        assert account.name in text
        assert account.password in text
    assert {account.password for account in one}.isdisjoint(account.password for account in two)
    assert all(account.password not in repr(account) for account in one)
