"""The golden corpus of evidence bundles: every verifier must give each case the same exit and codes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bundle_cases.case import KEYS, REGISTER, Registered, nothing
from tests.bundle_files import BundleFiles

GOLDEN = Path(__file__).parent / "golden" / "bundles"
_MODULES = ("rows", "entries", "checkpoints", "trees", "form")


@dataclass(frozen=True, slots=True)
class Case:
    """One bundle with the verdict that it must get; `keys` and `against` are the contents of the files of that name."""

    name: str
    keys: str
    against: str | None
    exit: int
    codes: frozenset[str]
    _registered: Registered

    def make(self, folder: Path) -> Path:
        """Writes the bundle into the folder."""
        return self.bundle().write(folder)

    def bundle(self) -> BundleFiles:
        """The bundle in memory."""
        made = valid_bundle(self._registered.base)
        self._registered.change(made)
        if self._registered.is_listed_again:
            made.list_again()
        return made


VERDICTS_OF_VALID: Mapping[str, tuple[int, frozenset[str]]] = {
    "several": (3, frozenset(("gap",))),
    "life_over": (3, frozenset(("gap",))),
    "uncovered": (3, frozenset(("not_covered",))),
    "source_hole": (3, frozenset(("sequence_missing",))),
}
"""Exit and codes of the valid bundles that are not intact: nothing is changed, but something is missing."""


@cache
def _packed() -> dict[str, dict[str, bytes]]:
    bundles: dict[str, dict[str, bytes]] = {}
    with zipfile.ZipFile(GOLDEN / "valid.zip") as archive:
        for path in archive.namelist():
            name, _, inner = path.partition("/")
            bundles.setdefault(name, {})[inner] = archive.read(path)
    return bundles


def valid_bundle(name: str) -> BundleFiles:
    """A fresh copy of a valid bundle."""
    return BundleFiles(dict(_packed()[name]))


def cases() -> list[Case]:
    """All cases: the valid bundles as they are, then every change."""
    for module in _MODULES:
        import_module(f"tests.bundle_cases.{module}")
    found = []
    for name in _packed():
        code, codes = VERDICTS_OF_VALID.get(name, (0, frozenset()))
        found.append(
            Case(name, KEYS, None, code, codes, Registered(name, name, nothing, codes, code, False, KEYS, None))
        )
    for one in REGISTER.values():
        found.append(Case(one.name, one.keys, one.against, one.exit, one.codes, one))
    return found


def expected() -> dict[str, Any]:
    """Exit and codes by name, as `expected.json` has them for verifiers that are not written in Python."""
    return {one.name: {"exit": one.exit, "codes": sorted(one.codes)} for one in cases()}


def write_expected() -> None:
    """Writes `expected.json`."""
    text = json.dumps(expected(), ensure_ascii=False, indent=1) + "\n"
    (GOLDEN / "expected.json").write_text(text, encoding="utf-8")
