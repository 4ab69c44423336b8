"""The file of accounts: who may change what, lockout, second factor, tokens, modes, two processes, kill."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.accounts.lockout import FREE_FAILURES, wait_us
from pipeline.accounts.model import DAY_US, Account
from pipeline.adapters import account_secrets
from pipeline.adapters.account_file import MIGRATIONS, AccountFile
from pipeline.adapters.account_secrets import Credentials, Passwords, accepted_step, recovery_digest
from pipeline.adapters.accounts import Accounts, accounts_path, open_accounts
from pipeline.errors import Away, ConfigError, Forbidden, UsageError

NOW_US = 1_790_000_000_000_000
STEP_US = 30_000_000
PASSWORD, OTHER = "correct horse battery", "quite another staple"
GIVEN = Credentials(PASSWORD)
CHEAP = Passwords(time_cost=1, memory_kib=8, parallelism=1)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with open_accounts(tmp_path, create=True, passwords=CHEAP) as opened:
        opened.add_first("root.admin", PASSWORD, "first", NOW_US)
        yield opened


def _add(accounts: Accounts, name: str, *roles: str) -> Account:
    """An account whose owner has set the password."""
    accounts.add("root.admin", name, roles, OTHER, "test", NOW_US)
    accounts.logins.change_password(name, Credentials(OTHER), PASSWORD, NOW_US)
    return accounts.get(name)


def _token(accounts: Accounts, name: str, days: int = 1, at_us: int = NOW_US) -> str:
    return accounts.logins.new_token(name, GIVEN, label="", days=days, at_us=at_us)[0]


def _refused(accounts: Accounts, name: str, given: Credentials, at_us: int) -> str:
    with pytest.raises(Forbidden) as caught:
        accounts.logins.login(name, given, at_us)
    return caught.value.code


def _code(uri: str, at_us: int) -> str:
    return pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0]).at(at_us // 1_000_000)


def _enrol(accounts: Accounts, name: str, at_us: int = NOW_US) -> tuple[str, tuple[str, ...]]:
    uri = accounts.logins.begin_totp(name, GIVEN, at_us).uri
    return uri, accounts.logins.confirm_totp(name, GIVEN, _code(uri, at_us), at_us)


# -- making and changing


def test_the_first_account_is_an_admin_and_made_only_once(accounts: Accounts) -> None:
    assert accounts.get("root.admin").roles == {"admin"}
    with pytest.raises(UsageError, match="only once"):
        accounts.add_first("second.admin", PASSWORD, "again", NOW_US)


def test_only_an_admin_makes_accounts_and_a_disabled_one_no_more(accounts: Accounts) -> None:
    _add(accounts, "li.wei", "soc")
    _add(accounts, "other.admin", "admin")
    with pytest.raises(Forbidden, match="needs the role admin"):
        accounts.add("li.wei", "a.friend", ["soc"], PASSWORD, "hm", NOW_US)
    accounts.disable("root.admin", "other.admin", "left", NOW_US)
    with pytest.raises(Forbidden, match="no active account"):
        accounts.add("other.admin", "a.friend", ["soc"], PASSWORD, "hm", NOW_US)
    assert [one.name for one in accounts.all()] == ["li.wei", "other.admin", "root.admin"]


def test_conflicting_roles_are_refused_when_made_and_when_granted(accounts: Accounts) -> None:
    with pytest.raises(UsageError, match="may not hold"):
        accounts.add("root.admin", "li.wei", ["auditor", "soc"], PASSWORD, "x", NOW_US)
    _add(accounts, "li.wei", "soc")
    with pytest.raises(UsageError, match="may not hold"):
        accounts.change_roles("root.admin", "li.wei", grant=["auditor"], reason="x", at_us=NOW_US)
    assert accounts.get("li.wei").roles == {"soc"}
    changed = accounts.change_roles(
        "root.admin", "li.wei", grant=["auditor"], revoke=["soc"], reason="moves", at_us=NOW_US
    )
    assert changed.roles == {"auditor"}


def test_nobody_changes_their_own_roles_or_takes_themselves_over(accounts: Accounts) -> None:
    with pytest.raises(Forbidden, match="their own roles"):
        accounts.change_roles("root.admin", "root.admin", grant=["soc"], reason="x", at_us=NOW_US)
    with pytest.raises(UsageError, match="your own account"):
        accounts.reset_password("root.admin", "root.admin", OTHER, "x", NOW_US)


def test_the_last_admin_stays(accounts: Accounts) -> None:
    with pytest.raises(UsageError, match="no active account with the role admin"):
        accounts.disable("root.admin", "root.admin", "tired", NOW_US)
    assert accounts.get("root.admin").is_active


def test_a_password_set_by_somebody_else_makes_no_token(accounts: Accounts) -> None:
    accounts.add("root.admin", "li.wei", ["soc"], OTHER, "joins", NOW_US)
    with pytest.raises(UsageError, match="somebody else has set"):
        accounts.logins.new_token("li.wei", Credentials(OTHER), label="", days=1, at_us=NOW_US)
    accounts.logins.change_password("li.wei", Credentials(OTHER), PASSWORD, NOW_US)
    assert accounts.logins.account_of_token(_token(accounts, "li.wei"), NOW_US).name == "li.wei"


def test_a_reset_revokes_tokens_and_keeps_the_second_factor(accounts: Accounts) -> None:
    _add(accounts, "li.wei", "soc")
    token = _token(accounts, "li.wei")
    _enrol(accounts, "li.wei")
    assert accounts.reset_password("root.admin", "li.wei", OTHER, "forgotten", NOW_US) == 1
    with pytest.raises(Forbidden):
        accounts.logins.account_of_token(token, NOW_US)
    assert _refused(accounts, "li.wei", Credentials(OTHER), NOW_US) == "login_refused"


def test_every_change_is_recorded_with_who_and_why(accounts: Accounts) -> None:
    _add(accounts, "li.wei", "soc")
    accounts.disable("root.admin", "li.wei", "left the company", NOW_US + 7)
    newest = accounts.changes()[0]
    assert (newest.by, newest.account, newest.what, newest.at_us) == ("root.admin", "li.wei", "disabled", NOW_US + 7)
    assert newest.reason == "left the company"
    assert [one.what for one in accounts.changes()][1:] == ["password_changed", "added", "added"]


def test_a_change_without_a_reason_does_not_happen(accounts: Accounts) -> None:
    _add(accounts, "li.wei", "soc")
    with pytest.raises(UsageError, match="reason"):
        accounts.disable("root.admin", "li.wei", "  ", NOW_US)
    assert accounts.get("li.wei").is_active


@pytest.mark.parametrize("statement", ["DELETE FROM account_changes", "UPDATE account_changes SET by = 'x'",
                                       "DELETE FROM accounts"])  # fmt: skip
def test_history_and_accounts_cannot_be_taken_away(accounts: Accounts, tmp_path: Path, statement: str) -> None:
    with (
        sqlite3.connect(accounts_path(tmp_path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match=r"append-only|never deleted"),
    ):
        connection.execute(statement)
    connection.close()
    assert accounts.changes()


# -- login


def test_refusals_do_not_tell_what_was_wrong(accounts: Accounts) -> None:
    _add(accounts, "li.wei", "soc")
    accounts.disable("root.admin", "li.wei", "left", NOW_US)
    words = set()
    for name, shown in (("root.admin", Credentials(OTHER)), ("no.body", GIVEN), ("li.wei", GIVEN)):
        with pytest.raises(Forbidden) as caught:
            accounts.logins.login(name, shown, NOW_US)
        words.add(str(caught.value))
    assert len(words) == 1


def test_lockout_doubles_and_not_even_the_right_password_ends_it_early(accounts: Accounts) -> None:
    at_us = NOW_US
    for _ in range(FREE_FAILURES):
        assert _refused(accounts, "root.admin", Credentials(OTHER), at_us) == "login_refused"
    for failures in range(FREE_FAILURES, FREE_FAILURES + 3):
        assert _refused(accounts, "root.admin", GIVEN, at_us + wait_us(failures) - 1) == "login_locked"
        at_us += wait_us(failures)
        assert _refused(accounts, "root.admin", Credentials(OTHER), at_us) == "login_refused"
    at_us += wait_us(FREE_FAILURES + 3)
    assert accounts.logins.login("root.admin", GIVEN, at_us).name == "root.admin"
    assert _refused(accounts, "root.admin", Credentials(OTHER), at_us) == "login_refused", "counted from 0 again"
    assert accounts.logins.login("root.admin", GIVEN, at_us).is_active


def test_a_clock_set_back_does_not_end_a_lockout(accounts: Accounts) -> None:
    for _ in range(FREE_FAILURES):
        _refused(accounts, "root.admin", Credentials(OTHER), NOW_US)
    assert _refused(accounts, "root.admin", GIVEN, NOW_US - 10 * DAY_US) == "login_locked"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 120_000_000), st.booleans()), max_size=12))
def test_nothing_is_accepted_within_a_wait(
    tmp_path_factory: pytest.TempPathFactory, tries: list[tuple[int, bool]]
) -> None:
    """A model beside it: failures and the time until which nothing counts."""
    with open_accounts(tmp_path_factory.mktemp("state"), create=True, passwords=CHEAP) as accounts:
        accounts.add_first("root.admin", PASSWORD, "first", NOW_US)
        at_us, failures, until_us = NOW_US, 0, 0
        for later_us, right in tries:
            at_us += later_us
            if at_us < until_us:
                assert _refused(accounts, "root.admin", GIVEN if right else Credentials(OTHER), at_us) == "login_locked"
            elif right:
                accounts.logins.login("root.admin", GIVEN, at_us)
                failures, until_us = 0, 0
            else:
                assert _refused(accounts, "root.admin", Credentials(OTHER), at_us) == "login_refused"
                failures += 1
                until_us = at_us + wait_us(failures)


def test_a_hash_of_other_parameters_is_made_anew_at_the_next_login(accounts: Accounts, tmp_path: Path) -> None:
    def stored() -> str:
        with AccountFile(accounts_path(tmp_path)).reading() as connection:
            return str(connection.execute("SELECT password_hash FROM accounts").fetchone()[0])

    before = stored()
    with open_accounts(tmp_path, passwords=Passwords(time_cost=2, memory_kib=16, parallelism=1)) as dearer:
        dearer.logins.login("root.admin", GIVEN, NOW_US)
    assert "m=8,t=1,p=1" in before
    assert "m=16,t=2,p=1" in stored()
    assert accounts.logins.login("root.admin", GIVEN, NOW_US).is_active


def test_the_stated_parameters_of_argon2id() -> None:
    assert Passwords().hashed(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


# -- second factor


def test_a_code_works_once_and_only_near_its_time(accounts: Accounts) -> None:
    uri, _ = _enrol(accounts, "root.admin")
    used_at_enrolment = Credentials(PASSWORD, _code(uri, NOW_US))
    assert _refused(accounts, "root.admin", used_at_enrolment, NOW_US) == "login_refused"
    later_us = NOW_US + 10 * STEP_US
    fresh = Credentials(PASSWORD, _code(uri, later_us))
    assert accounts.logins.login("root.admin", fresh, later_us).totp_enrolled
    assert _refused(accounts, "root.admin", fresh, later_us) == "login_refused"
    old = Credentials(PASSWORD, _code(uri, later_us))
    assert _refused(accounts, "root.admin", old, later_us + 5 * STEP_US) == "login_refused"
    assert _refused(accounts, "root.admin", GIVEN, later_us) == "login_refused", "the password alone"


@given(st.integers(0, 2**31), st.integers(-5, 5), st.integers(-5, 5))
def test_no_step_is_accepted_twice_or_far_from_now(now_step: int, code_step: int, used: int) -> None:
    shared = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    step = max(0, now_step + code_step)
    accepted = accepted_step(shared, pyotp.TOTP(shared).generate_otp(step), now_step * STEP_US, now_step + used)
    if accepted is not None:
        assert accepted > now_step + used
        assert abs(accepted - now_step) <= 1
    elif abs(step - now_step) <= 1:
        assert step <= now_step + used


@pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "12345a"])
def test_what_is_no_code(code: str) -> None:
    assert accepted_step("JBSWY3DPEHPK3PXP", code, NOW_US, 0) is None


def test_the_codes_of_rfc_6238() -> None:
    shared = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", appendix B, last six digits
    for at_s, code in ((59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")):
        assert accepted_step(shared, code, at_s * 1_000_000, 0) == at_s // 30


def test_a_recovery_code_is_good_for_one_login(accounts: Accounts) -> None:
    _, codes = _enrol(accounts, "root.admin")
    assert len(set(codes)) == account_secrets.RECOVERY_CODES
    typed = Credentials(PASSWORD, codes[3].upper().replace("-", " "))
    assert accounts.logins.login("root.admin", typed, NOW_US).is_active
    assert _refused(accounts, "root.admin", typed, NOW_US) == "login_refused"
    assert accounts.changes()[0].what == "recovery_code_used"


def test_a_second_factor_is_not_asked_for_before_it_is_confirmed(accounts: Accounts) -> None:
    accounts.logins.begin_totp("root.admin", GIVEN, NOW_US)
    assert not accounts.logins.login("root.admin", GIVEN, NOW_US).totp_enrolled
    with pytest.raises(UsageError, match="code is wrong"):
        accounts.logins.confirm_totp("root.admin", GIVEN, "000000", NOW_US + 1_000 * STEP_US)


def test_an_enrolled_second_factor_is_not_replaced_silently(accounts: Accounts) -> None:
    uri, _ = _enrol(accounts, "root.admin")
    later_us = NOW_US + 2 * STEP_US
    given = Credentials(PASSWORD, _code(uri, later_us))
    with pytest.raises(UsageError, match="remove it first"):
        accounts.logins.begin_totp("root.admin", given, later_us)


# -- tokens


@given(st.integers(1, 366), st.integers(-2, 2))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_token_expires_at_its_moment(tmp_path_factory: pytest.TempPathFactory, days: int, around_us: int) -> None:
    with open_accounts(tmp_path_factory.mktemp("state"), create=True, passwords=CHEAP) as accounts:
        accounts.add_first("root.admin", PASSWORD, "first", NOW_US)
        token = _token(accounts, "root.admin", days)
        at_us = NOW_US + days * DAY_US + around_us
        if around_us < 0:
            assert accounts.logins.account_of_token(token, at_us).name == "root.admin"
        else:
            with pytest.raises(Forbidden):
                accounts.logins.account_of_token(token, at_us)


def test_a_token_has_the_roles_of_the_moment_and_ends_with_its_account(accounts: Accounts) -> None:
    _add(accounts, "li.wei", "soc")
    token = _token(accounts, "li.wei")
    accounts.change_roles("root.admin", "li.wei", grant=["analyst"], reason="learns", at_us=NOW_US)
    assert accounts.logins.account_of_token(token, NOW_US).roles == {"soc", "analyst"}
    assert accounts.disable("root.admin", "li.wei", "left", NOW_US) == 1
    accounts.enable("root.admin", "li.wei", "back", NOW_US)
    with pytest.raises(Forbidden):
        accounts.logins.account_of_token(token, NOW_US)


def test_tokens_are_revoked_by_their_owner_or_an_admin_only(accounts: Accounts) -> None:
    for name in ("li.wei", "wu.ling"):
        _add(accounts, name, "soc")
    token = _token(accounts, "li.wei")
    prefix = accounts.tokens("li.wei")[0].prefix
    assert token.startswith(prefix)
    with pytest.raises(UsageError, match="no such token of yours"):
        accounts.revoke_token("wu.ling", prefix, "spite", NOW_US)
    assert accounts.revoke_token("root.admin", prefix, "laptop lost", NOW_US).state_at(NOW_US) == "revoked"
    with pytest.raises(Forbidden) as caught:
        accounts.logins.account_of_token(token, NOW_US)
    assert caught.value.code == "token_refused"


# -- secrets and the file


def test_nothing_secret_is_shown_or_kept_in_the_open(accounts: Accounts, tmp_path: Path) -> None:
    uri, codes = _enrol(accounts, "root.admin")
    later_us = NOW_US + 2 * STEP_US
    given = Credentials(PASSWORD, _code(uri, later_us))
    token, kept = accounts.logins.new_token("root.admin", given, label="", days=1, at_us=later_us)
    shown = repr((given, account_secrets.Enrolment(uri), kept, accounts.all(), accounts.changes()))
    for secret in (PASSWORD, uri, token, *codes):
        assert secret not in shown
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (PASSWORD, token, *codes, *(one.replace("-", "") for one in codes)):
        assert secret.encode() not in content
    assert (recovery_digest(codes[0]) or b"") in content


def test_the_file_and_what_sqlite_puts_beside_it_are_private(accounts: Accounts, tmp_path: Path) -> None:
    _add(accounts, "li.wei", "soc")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes) == {"accounts.sqlite3", "accounts.sqlite3-wal", "accounts.sqlite3-shm"}
    assert set(modes.values()) == {0o600}


def test_a_file_that_others_can_read_is_refused(accounts: Accounts, tmp_path: Path) -> None:
    accounts_path(tmp_path).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        AccountFile(accounts_path(tmp_path))


def test_without_accounts_nothing_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(Forbidden) as caught, open_accounts(tmp_path):
        pass
    assert caught.value.code == "no_accounts"
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_such_file_or_of_a_newer_version_is_refused(accounts: Accounts, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    other.write_bytes(b"this is no database, " * 100)
    other.chmod(0o600)
    with pytest.raises(ConfigError, match="backup"):
        AccountFile(other)
    with sqlite3.connect(accounts_path(tmp_path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(ConfigError, match="newer version"):
        AccountFile(accounts_path(tmp_path))


def test_a_busy_file_is_said_to_be_busy(accounts: Accounts, tmp_path: Path) -> None:
    impatient = AccountFile(accounts_path(tmp_path), busy_timeout_s=0.01)
    with AccountFile(accounts_path(tmp_path)).change(), pytest.raises(Away) as caught, impatient.change():
        pass
    assert caught.value.code == "accounts_busy"


_PROCESS = """
import os, signal, sys
from pathlib import Path
from pipeline.adapters.account_secrets import Credentials, Passwords
from pipeline.adapters.accounts import open_accounts
from pipeline.errors import AccesstrailError
state, what = Path(sys.argv[1]), sys.argv[2]
cheap = Passwords(time_cost=1, memory_kib=8, parallelism=1)
with open_accounts(state, create=True, passwords=cheap) as accounts:
    if what == "add":
        for number in range(15):
            name = f"user-{sys.argv[3]}-{number}"
            accounts.add("root.admin", name, ["soc"], "quite another staple", "test", 1)
    elif what == "first":
        try:
            accounts.add_first(f"root.{sys.argv[3]}", "correct horse battery", "test", 1)
        except AccesstrailError:
            sys.exit(3)
    elif what == "code":
        try:
            accounts.logins.login("root.admin", Credentials("correct horse battery", sys.argv[3]), int(sys.argv[4]))
        except AccesstrailError:
            sys.exit(3)
    elif what == "die":
        with accounts._file.change() as connection:
            connection.execute("UPDATE accounts SET state = 'disabled'")
            connection.execute("DELETE FROM account_roles")
            os.kill(os.getpid(), signal.SIGKILL)
"""


def _start(state: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _PROCESS, str(state), *words])


def test_two_processes_make_accounts_at_once_and_none_is_lost(accounts: Accounts, tmp_path: Path) -> None:
    both = [_start(tmp_path, "add", which) for which in "ab"]
    assert [one.wait(timeout=60) for one in both] == [0, 0]
    assert len(accounts.all()) == 31
    assert [one.number for one in accounts.changes()] == list(range(31, 0, -1))


def test_of_several_first_accounts_made_at_once_one_is_made(tmp_path: Path) -> None:
    ended = sorted(one.wait(timeout=60) for one in [_start(tmp_path, "first", which) for which in "abcd"])
    assert ended == [0, 3, 3, 3]


def test_one_code_shown_to_two_processes_is_accepted_by_one(accounts: Accounts, tmp_path: Path) -> None:
    uri, _ = _enrol(accounts, "root.admin")
    later_us = NOW_US + 2 * STEP_US
    code = _code(uri, later_us)
    both = [_start(tmp_path, "code", code, str(later_us)) for _ in range(2)]
    assert sorted(one.wait(timeout=60) for one in both) == [0, 3]


def test_a_process_killed_in_the_middle_of_a_change_has_changed_nothing(accounts: Accounts, tmp_path: Path) -> None:
    before = accounts.all()
    assert _start(tmp_path, "die").wait(timeout=60) == -signal.SIGKILL
    with open_accounts(tmp_path) as again:
        assert again.all() == before


def test_a_migration_cut_off_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = accounts_path(tmp_path)
    broken = (*MIGRATIONS, "CREATE TABLE more (x INTEGER) STRICT;\nCREATE TABLE more (x INTEGER) STRICT;\n")
    AccountFile(path, create=True).close()
    monkeypatch.setattr("pipeline.adapters.account_file.MIGRATIONS", broken)
    with pytest.raises(ConfigError):
        AccountFile(path)
    monkeypatch.setattr("pipeline.adapters.account_file.MIGRATIONS", MIGRATIONS)
    with AccountFile(path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone()[0] == 0
