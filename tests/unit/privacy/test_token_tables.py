"""Memo tables change speed, never results, and stay bounded."""

from __future__ import annotations

import ipaddress

import numpy as np
import pytest

from pipeline.columns import NO_TOKEN
from pipeline.partitioning import murmur2, partition_of
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import HomePartitions, Protector, Texts
from pipeline.privacy.tokens import ActorTable, AddressTable, TokenTable, TrailingNumbers
from pipeline.privacy.user_agents import user_agent_family

KEYRING = Keyring.offline()


def table(limit: int = 4) -> TokenTable:
    return TokenTable(KEYRING, "default", "subject", limit)


def test_an_absent_identifier_has_the_absent_token() -> None:
    tokens = table().tokens([None, "a", None], 3).tolist()
    assert tokens[0] == tokens[2] == NO_TOKEN
    assert tokens[1] == KEYRING.token("default", "subject", "a")


def test_tokens_stay_the_same_through_every_generation() -> None:
    tokens = table(limit=4)
    for round_ in range(20):
        names = [f"c-{(round_ + i) % 9}" for i in range(5)]
        expected = [KEYRING.token("default", "subject", name) for name in names]
        assert tokens.tokens(names, 5).tolist() == expected
        tokens.renew_if_full()


def test_a_renewed_table_forgets_what_two_generations_did_not_ask_for() -> None:
    tokens = table(limit=4)
    for generation in range(50):
        tokens.tokens([f"{generation}-{i}" for i in range(4)], 4)
        tokens.renew_if_full()
    assert len(tokens) <= 4
    assert len(tokens.rows) <= 5 * 16


def test_a_table_that_is_not_full_keeps_its_rows() -> None:
    tokens = table(limit=10)
    row = tokens["a"]
    tokens.renew_if_full()
    assert tokens["a"] == row


def test_long_texts_renew_a_table_before_it_has_many_entries() -> None:
    tokens, texts = table(limit=1 << 16), Texts()
    for number in range(9):
        long = f"{number}" * (1 << 19)
        tokens.tokens([long], 1)
        texts.column([long], 1)
    tokens.renew_if_full()
    texts.renew_if_full()
    assert len(tokens) == len(texts) == 1
    assert len(texts.interner.texts) == 1


def test_a_column_made_before_a_renewal_keeps_its_texts() -> None:
    texts = Texts()
    column = texts.column(["a", None, "b"], 3)
    texts.column(["x" * (1 << 22)], 1)
    texts.renew_if_full()
    assert [column.interner.texts[number] for number in column.ids] == ["a", "", "b"]
    assert texts.column(["b"], 1).ids.tolist() == [1]


def test_actor_tables_keep_shifts_and_partitions_beside_the_tokens() -> None:
    partitions = HomePartitions(24)
    actors = ActorTable(KEYRING, "default", partitions, limit=3)
    for round_ in range(6):
        names = [f"u{round_ + i}" for i in range(3)]
        rows = actors.ids(names, 3)
        assert [actors.partitions[row] for row in rows] == [partition_of(name.encode(), 24) for name in names]
        shifts = [int.from_bytes(KEYRING.token("default", "sequence", name)[:4], "big") for name in names]
        assert [actors.shifts[row] for row in rows] == shifts
        actors.renew_if_full()


@pytest.mark.parametrize("text", ["10.20.3.7", "255.255.255.255", "::1", "2001:db8::7", "::ffff:10.0.0.1"])
def test_addresses_are_sixteen_bytes_with_ipv4_mapped(text: str) -> None:
    packed = AddressTable().tokens([text], 1).tolist()[0]
    address = ipaddress.ip_address(text)
    mapped = ipaddress.ip_address(f"::ffff:{text}") if address.version == 4 else address
    assert packed == mapped.packed


@pytest.mark.parametrize(
    ("identifier", "number"),
    [("c-18823", 18824), ("18823", 18824), ("c-0", 1), ("no number", 0), ("7b", 0), (f"x{2**32 - 1}", 1)],
)
def test_trailing_numbers(identifier: str, number: int) -> None:
    assert TrailingNumbers()[identifier] == number


# Test vectors of Apache Kafka's own UtilsTest.
@pytest.mark.parametrize(
    ("text", "signed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(text: str, signed: int) -> None:
    assert murmur2(text.encode()) == signed % 2**32


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client's own, on import
def test_partitions_are_those_of_the_python_client() -> None:
    from kafka.partitioner.default import murmur2 as theirs

    for size in range(40):
        key = bytes((7 * size + i) % 256 for i in range(size))
        assert partition_of(key, 24) == (theirs(key) & 0x7FFFFFFF) % 24


def test_the_protector_drops_the_tables_of_too_many_tenants() -> None:
    protector = Protector(KEYRING, partitions=1)
    for tenant in range(600):
        protector.tokens(f"t{tenant}", "subject").tokens(["a"], 1)
    protector.renew_if_full()
    assert len(protector._tokens) == 0
    again = protector.tokens("t1", "subject").tokens(["a"], 1)
    np.testing.assert_array_equal(again.view("u1"), np.frombuffer(KEYRING.token("t1", "subject", "a"), "u1"))


@pytest.mark.parametrize(
    ("user_agent", "family"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36", "chrome"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0", "edge"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/17.0 Safari/605.1.15", "safari"),
        ("Mozilla/5.0 (iPhone) MicroMessenger/8.0.2 Safari/604.1", "wechat"),
        ("python-requests/2.31.0", "python-requests"),
        ("Boto3/1.26 Python/3.9 Botocore/1.29", "aws-sdk"),
        ("aws-cli/2.9 Python/3.9 command/s3.ls", "aws-cli"),
        ("okhttp/4.9.3", "okhttp"),
        ("Apache-HttpClient/4.5 (Java/11)", "java"),
        ("curl/8.4.0", "curl"),
        ("something nobody knows", "other"),
        ("", ""),
    ],
)
def test_user_agent_families(user_agent: str, family: str) -> None:
    assert user_agent_family(user_agent) == family
