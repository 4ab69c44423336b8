"""Anchors in the configuration: every fault of every anchor at once, with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.ledger.cosignature import WitnessKey
from pipeline.ledger.signed_note import PrivateKey
from pipeline.notary.settings import anchors_from

KEY = WitnessKey.of(PrivateKey("witness.example/w1", b"w" * 32))
HTTPS = {"url": "https://audit.example/in", "allow_hosts": ["audit.example"]}


def test_each_kind_is_read_and_paths_begin_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "w.pub").write_text(f"{KEY}\n")
    file, hook, witness = anchors_from(
        {
            "disk": {"kind": "file", "file": "anchors/c.notes"},
            "hook": {"kind": "webhook", **HTTPS, "timeout_s": 3},
            "w": {"kind": "witness", **HTTPS, "public_key_file": "w.pub"},
        },
        tmp_path,
    )
    assert (file.name, file.file) == ("disk", tmp_path / "anchors" / "c.notes")
    assert hook.endpoint is not None
    assert (hook.endpoint.endpoint.host, hook.endpoint.timeout_s, hook.endpoint.secret) == ("audit.example", 3, None)
    assert witness.witness == KEY


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"kind": "carrier_pigeon"}, "kind must be one of file, webhook, witness"),
        ({}, "kind is missing"),
        ({"kind": "file"}, "file is missing"),
        ({"kind": "file", "file": "a", "url": "https://x/"}, "url is not a known setting"),
        ({"kind": "webhook", "url": "https://audit.example/"}, "is not in allow_hosts"),
        ({"kind": "webhook", "url": "http://audit.example/", "allow_hosts": ["audit.example"]}, "without TLS"),
        ({"kind": "webhook", **HTTPS, "public_key_file": "w"}, "public_key_file is not a known setting"),
        ({"kind": "witness", **HTTPS}, "public_key_file is missing"),
        ({"kind": "witness", **HTTPS, "public_key_file": "none"}, "cannot be read"),
        ({"kind": "witness", **HTTPS, "public_key_file": "wrong"}, "not of the form"),
    ],
)
def test_a_fault_names_the_anchor(tmp_path: Path, table: dict[str, object], fault: str) -> None:
    (tmp_path / "wrong").write_text("nonsense")
    with pytest.raises(ConfigError) as caught:
        anchors_from({"one": table, "Not a name": {"kind": "file", "file": "a"}}, tmp_path)
    assert any("[ledger.anchors.one]" in one and fault in one for one in caught.value.faults)
    assert any("an anchor's name is" in one for one in caught.value.faults)
