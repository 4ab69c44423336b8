"""Links between a person's tokens on the real engine: told before the identity, once, with a vault and without."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.token_links import LinksAlone, TokenLinks
from pipeline.adapters.vault import ClickHouseVault, open_vault
from pipeline.adapters.vault_reading import VaultReader
from pipeline.config import VAULT
from pipeline.errors import Away
from pipeline.migrations.runner import apply_all
from pipeline.ports import Identity
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.keys import Key, Keyring
from pipeline.privacy.linking import under_every_key
from pipeline.retention.holds import Hold
from pipeline.same_person import tokens_in

pytestmark = pytest.mark.stack

RING = Keyring(tuple(Key(number, bytes([number]) * 32) for number in (1, 2, 3)))


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex}"


@pytest.fixture
def vault(stack: Any) -> Iterator[ClickHouseVault]:
    apply_all(stack.settings)
    made = open_vault(stack.settings)
    assert made is not None
    yield made
    made.close()


@pytest.fixture
def reader(stack: Any) -> Iterator[ClickHouse]:
    apply_all(stack.settings)
    made = connect(stack.settings.clickhouse, "reader")
    yield made
    made.close()


def people(tenant: str, count: int = 3) -> list[Identity]:
    return [*under_every_key(RING, tenant, "subject", [f"c-{number} of {tenant}" for number in range(count)])]


def links(reader: ClickHouse, tenant: str) -> set[tuple[bytes, bytes, str]]:
    sql = "SELECT hex(token), hex(canonical), key_version FROM accesstrail.token_links WHERE tenant_id = {t:String}"
    return {(bytes.fromhex(one), bytes.fromhex(other), key) for one, other, key in reader.query(sql, {"t": tenant})}


def test_the_vault_links_every_token_of_a_rotated_key_once(
    vault: ClickHouseVault, reader: ClickHouse, tenant: str
) -> None:
    kept = people(tenant)
    for _ in range(2):
        vault.keep(kept)
    oldest = RING.canonical
    assert {(one.token, one.canonical, one.key_version) for one in kept} == links(reader, tenant)
    assert {one.canonical for one in kept} == {oldest.token(tenant, "subject", one.identifier) for one in kept}
    count = "SELECT count() FROM accesstrail.token_links WHERE tenant_id = {tenant:String}"
    assert reader.query(count, {"tenant": tenant}) == [(6,)]
    held = VaultReader(vault.client, vault.envelope, tenant)
    assert {held.of("subject", one.token.hex()) for one in kept} == {one.identifier for one in kept}
    assert set(held.everybody("subject")) == {one.identifier for one in kept}


def test_nobody_is_in_the_vault_under_a_token_that_is_not_linked(
    vault: ClickHouseVault, reader: ClickHouse, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vault.client.insert

    def away(table: str, *given: Any, **named: Any) -> bool:
        if table.endswith("token_links"):
            raise Away("the store went away")
        return whole(table, *given, **named)

    monkeypatch.setattr(vault.client, "insert", away)
    with pytest.raises(Away):
        vault.keep(people(tenant))
    assert not [*VaultReader(vault.client, vault.envelope, tenant).everybody("subject")]
    monkeypatch.undo()
    vault.keep(people(tenant))
    assert len(links(reader, tenant)) == 6


def test_without_a_vault_the_writer_links_and_keeps_nobody(stack: Any, reader: ClickHouse, tenant: str) -> None:
    keeper = LinksAlone(
        TokenLinks(connect(stack.settings.clickhouse, "writer")), KnownIdentities(only_rotated=True)
    )  # fmt: skip
    keeper.keep(people(tenant))
    assert len(links(reader, tenant)) == 6
    held = connect(stack.settings.clickhouse, VAULT)
    count = held.query(
        "SELECT count() FROM accesstrail_vault.vault WHERE tenant_id = {tenant:String}", {"tenant": tenant}
    )
    held.close()
    assert count == [(0,)]


def test_a_person_is_found_by_any_of_its_tokens(vault: ClickHouseVault, reader: ClickHouse, tenant: str) -> None:
    kept = people(tenant, 2)
    vault.keep(kept)
    mine = {one.token.hex() for one in kept[:2]} | {kept[0].canonical.hex()}
    assert len(mine) == 3
    every = sorted({one.hex() for person in kept for one in (person.token, person.canonical)})
    sql = (
        "SELECT one FROM (SELECT toFixedString(unhex(arrayJoin({every:Array(String)})), 16) AS one) "
        f"WHERE {tokens_in('one', 'tokens')}"
    )
    for token in mine:
        found = reader.query(sql, {"every": every, "tokens": [token]})
        assert {one.hex() if isinstance(one, bytes) else one for (one,) in found} == mine


def test_a_hold_is_on_a_person_under_every_key(vault: ClickHouseVault, reader: ClickHouse, tenant: str) -> None:
    kept = people(tenant, 1)
    vault.keep(kept)
    hold = Hold(
        hold_id=str(uuid.uuid4()), tenant=tenant, scope="subject", from_us=0, until_us=1, reason="", by="", at_us=0,
        subjects=(kept[0].canonical.hex(), "ab" * 16),
    )  # fmt: skip
    [found] = HoldReader(reader)._about_persons([hold])
    assert set(found.subjects) == {kept[0].canonical.hex(), "ab" * 16, *(one.token.hex() for one in kept)}
