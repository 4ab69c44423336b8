"""The vault on the real engine: kept once, opened again, and nowhere a name outside its envelope."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.vault import ClickHouseVault, open_vault
from pipeline.adapters.vault_reading import DATABASE, VaultReader
from pipeline.config import VAULT
from pipeline.errors import AccesstrailError
from pipeline.migrations.runner import apply_all
from pipeline.ports import Identity
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.keys import Keyring

pytestmark = pytest.mark.stack


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex}"


@pytest.fixture
def open_another(stack: Any) -> Iterator[Any]:
    apply_all(stack.settings)
    opened: list[ClickHouseVault] = []

    def one(known: KnownIdentities | None = None) -> ClickHouseVault:
        vault = open_vault(stack.settings, known)
        assert vault is not None
        opened.append(vault)
        return vault

    yield one
    for vault in opened:
        vault.close()


@pytest.fixture
def rows(stack: Any) -> Iterator[ClickHouse]:
    client = connect(stack.settings.clickhouse, VAULT)
    yield client
    client.close()


def identities(tenant: str, count: int, kind: str = "subject") -> list[Identity]:
    keyring, names = Keyring.offline(), [f"person {number} of {tenant}" for number in range(count)]
    return [Identity(tenant, kind, keyring.token(tenant, kind, name), name) for name in names]


def identity_of(vault: ClickHouseVault, tenant: str, kind: str, token: bytes) -> str | None:
    return VaultReader(vault.client, vault.envelope, tenant).of(kind, token.hex())


def count_of(rows: ClickHouse, table: str, tenant: str) -> int:
    sql = f"SELECT count() FROM {DATABASE}.{table} WHERE tenant_id = {{tenant:String}}"
    return int(rows.query(sql, {"tenant": tenant})[0][0])


def test_what_is_kept_is_found_again_by_its_token_and_no_other(open_another: Any, tenant: str) -> None:
    kept = identities(tenant, 3)
    open_another().keep(kept)
    vault = open_another()
    assert [identity_of(vault, tenant, "subject", one.token) for one in kept] == [one.identifier for one in kept]
    assert identity_of(vault, tenant, "actor", kept[0].token) is None
    assert identity_of(vault, f"{tenant}-other", "subject", kept[0].token) is None
    assert identity_of(vault, tenant, "subject", bytes(15) + b"x") is None


def test_more_identities_than_one_question_takes(open_another: Any, rows: ClickHouse, tenant: str) -> None:
    open_another().keep(identities(tenant, 2500))
    assert count_of(rows, "vault", tenant) == 2500


def test_a_repetition_and_another_process_add_nothing(open_another: Any, rows: ClickHouse, tenant: str) -> None:
    kept = identities(tenant, 5)
    vault = open_another()
    vault.keep(kept)
    vault.keep(kept)
    open_another().keep(identities(tenant, 7))
    assert (count_of(rows, "vault", tenant), count_of(rows, "vault_keys", tenant)) == (7, 7)


def test_two_writers_of_one_identity_leave_one_that_opens(open_another: Any, rows: ClickHouse, tenant: str) -> None:
    kept, first, second = identities(tenant, 1), open_another(), open_another()
    first._insert([first.envelope.seal(kept[0])], ["1-test"])
    second._insert([second.envelope.seal(kept[0])], ["1-test"])
    assert count_of(rows, "vault", tenant) == 2
    assert identity_of(first, tenant, "subject", kept[0].token) == kept[0].identifier


def test_a_crash_between_key_and_identity_is_made_good(open_another: Any, rows: ClickHouse, tenant: str) -> None:
    kept, vault = identities(tenant, 2), open_another()
    whole, calls = vault.client.insert, []

    def crash(table: str, *arguments: Any, **options: Any) -> Any:
        calls.append(table)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(table, *arguments, **options)

    vault.client.insert = crash
    with pytest.raises(KeyboardInterrupt):
        vault.keep(kept)
    assert (count_of(rows, "vault_keys", tenant), count_of(rows, "vault", tenant)) == (2, 0)
    again = open_another()
    assert identity_of(again, tenant, "subject", kept[0].token) is None
    again.keep(kept)
    assert identity_of(again, tenant, "subject", kept[0].token) == kept[0].identifier


def test_without_its_key_an_identity_is_nobodys(open_another: Any, rows: ClickHouse, tenant: str) -> None:
    kept, vault = identities(tenant, 1), open_another()
    vault.keep(kept)
    rows.query(
        f"ALTER TABLE {DATABASE}.vault_keys DELETE WHERE tenant_id = {{tenant:String}}", {"tenant": tenant},
        {"mutations_sync": 2},
    )  # fmt: skip
    assert identity_of(vault, tenant, "subject", kept[0].token) is None


def test_a_row_put_in_anothers_place_does_not_open(open_another: Any, rows: ClickHouse, tenant: str) -> None:
    (kept,), vault = identities(tenant, 1), open_another()
    vault.keep([kept])
    for table, column in (("vault", "sealed, token_key"), ("vault_keys", "wrapping_key, wrapped")):
        rows.query(
            f"INSERT INTO {DATABASE}.{table} (token, key_id, tenant_id, kind, {column}) "
            f"SELECT token, key_id, tenant_id, 'actor', {column} FROM {DATABASE}.{table} "
            "WHERE tenant_id = {t:String}",
            {"t": tenant},
        )
    with pytest.raises(AccesstrailError) as caught:
        identity_of(vault, tenant, "actor", kept.token)
    assert caught.value.code == "vault_damaged"


def test_whoever_is_known_is_not_asked_for_until_somebody_is_erased(
    open_another: Any, rows: ClickHouse, tenant: str
) -> None:
    known = KnownIdentities()
    vault, kept = open_another(known), identities(tenant, 3)
    vault.keep(kept)
    asked: list[str] = []
    whole = vault.client.query

    def noted(sql: str, *more: Any) -> Any:
        asked.append(sql)
        return whole(sql, *more)

    vault.client.query = noted
    vault.keep([])
    assert asked == []
    known._asked_s -= 60
    rows.query(
        f"INSERT INTO {DATABASE}.erasures (erased_at, tokens, tenant_id, erasure_id, certificate) "
        "SELECT now64(6), [], {tenant:String}, '', ''",
        {"tenant": tenant},
    )
    generation = known.generation
    vault.keep([])
    assert known.generation == generation + 1


def test_no_name_is_in_the_data_on_the_disk(open_another: Any, stack: Any, tenant: str) -> None:
    mark = f"planted {tenant}"
    vault = open_another()
    vault.keep([Identity(tenant, "subject", Keyring.offline().token(tenant, "subject", mark), mark)])
    for folder, _, names in os.walk(stack.state / "clickhouse" / "data"):
        for path in (Path(folder) / name for name in names):
            with suppress(OSError):  # merges remove files meanwhile
                content = path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 26 else b""
                assert mark.encode() not in content, path
