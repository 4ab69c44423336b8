"""Settings of anchors: one table `[ledger.anchors.NAME]` each, checked as a whole at start.

kind = "file"      file: signed notes one behind the other
kind = "webhook"   url, allow_hosts, allow_private, timeout_s, connect_timeout_s, ca_file, secret_file (optional)
kind = "witness"   the same without secret_file, and public_key_file: the witness's key
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.ledger.cosignature import WitnessKey
from pipeline.notifications.config import ChannelSettings, http_endpoint
from pipeline.notifications.message import CHANNEL_NAME
from pipeline.settings_table import SettingsTable

FILE, WEBHOOK, WITNESS = "file", "webhook", "witness"
KINDS = (FILE, WEBHOOK, WITNESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSettings:
    """One anchor. `file`: of kind file; `endpoint`: of the others; `witness`: of kind witness."""

    name: str
    kind: str
    file: Path | None = None
    endpoint: ChannelSettings | None = None
    witness: WitnessKey | None = None


def anchors_from(raw: Mapping[str, Any], folder: Path) -> Sequence[AnchorSettings]:
    """The anchors of `[ledger.anchors]`, in its order; `folder` anchors relative paths.

    Raises: ConfigError: with every fault of every anchor.
    """
    found: list[AnchorSettings] = []
    faults: list[str] = []
    for name, table in raw.items():
        if not CHANNEL_NAME.fullmatch(name):
            faults.append(
                f"[ledger.anchors.{name[:40]!r}] an anchor's name is a-z, 0-9, - and _, at most 40, a letter first"
            )
            continue
        reader = SettingsTable(table, f"ledger.anchors.{name}", faults, folder)
        one = _anchor(reader, name)
        if one is not None:
            reader.unknown()
            found.append(one)
    if faults:
        raise ConfigError(faults)
    return found


def _anchor(reader: SettingsTable, name: str) -> AnchorSettings | None:
    kind = reader.text("kind")
    if kind == FILE:
        return AnchorSettings(name=name, kind=kind, file=reader.path("file"))
    if kind == WEBHOOK:
        return AnchorSettings(name=name, kind=kind, endpoint=http_endpoint(reader, name, kind))
    if kind == WITNESS:
        key = _witness_key(reader)
        return AnchorSettings(name=name, kind=kind, endpoint=http_endpoint(reader, name, kind), witness=key)
    reader.fault(f"kind must be one of {', '.join(KINDS)}")
    return None


def _witness_key(reader: SettingsTable) -> WitnessKey | None:
    path = reader.path("public_key_file")
    if path is None:
        return None
    try:
        return WitnessKey.parse(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        reader.fault(f"public_key_file: {path} cannot be read")
    except ValueError as exc:
        reader.fault(f"public_key_file {path}: {exc}")
    return None
