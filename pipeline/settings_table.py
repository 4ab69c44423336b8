"""One table of the configuration, read value by value: types, ranges and unknown keys are checked, faults collected.

Place in the flow: below `config.py` and every module that reads a section of its own (channels, incidents), so that all
say the same of the same fault. Nothing is raised: whoever has read everything raises one `ConfigError` with all faults.
A fault names the table and the key, never the value: it might be a secret that was written into the wrong file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any


class SettingsTable:
    """Takes typed values out of one table and collects faults under the table's name.

    `folder` anchors relative paths. `overrides`: texts of the environment by key, which go before the table; a number
    or a list may be written as a text there, and only there.
    """

    def __init__(
        self, raw: object, name: str, faults: list[str], folder: Path | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.faults = name, faults
        self._folder = folder or Path()
        self._overrides = overrides or {}
        self._taken: set[str] = set()
        self._raw: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
        if not isinstance(raw, Mapping):
            self.fault("must be a table")

    def fault(self, words: str) -> None:
        """Notes what is wrong with this table."""
        self.faults.append(f"[{self.name}] {words}")

    def has(self, key: str) -> bool:
        """Whether it is said at all."""
        return key in self._overrides or key in self._raw

    def _value(self, key: str) -> Any:  # noqa: ANN401  TOML values are of any type
        self._taken.add(key)
        return self._overrides[key] if key in self._overrides else self._raw.get(key)

    # -- values

    def text(self, key: str, default: str | None = None, *, empty_ok: bool = False) -> str:
        """A text; "" where it is wrong, or missing without a default."""
        value = self._value(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and not empty_ok):
            self.fault(f"{key} is missing" if value is None else f"{key} must be a non-empty text")
            return default or ""
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number of the range, else the default."""
        value = self._as_number(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.fault(f"{key} must be a number from {low:g} to {high:g}")
            return default
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number of the range, else the default."""
        value = self._as_number(key)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            self.fault(f"{key} must be a whole number from {low:,} to {high:,}")
            return default
        return value

    def _as_number(self, key: str) -> object:
        value = self._value(key)
        if key not in self._overrides:
            return value
        for kind in (int, float):
            try:
                return kind(str(value))
            except ValueError:
                continue
        return value

    def flag(self, key: str) -> bool:
        """True or false; false where nothing is said."""
        value = self._value(key)
        if key in self._overrides:
            value = {"true": True, "false": False}.get(self._overrides[key].strip().lower(), value)
        if value is not None and not isinstance(value, bool):
            self.fault(f"{key} must be true or false")
        return value is True

    def choice(self, key: str, words: Sequence[str]) -> str:
        """One of some words; the first is the default."""
        value = self.text(key, words[0])
        if value not in words:
            self.fault(f"{key} must be one of {', '.join(words)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of non-empty texts; none where nothing is said."""
        value = self._value(key)
        if value is None:
            return ()
        if key in self._overrides:
            return tuple(part for part in str(value).split(",") if part)
        if not isinstance(value, list) or not all(isinstance(part, str) and part for part in value):
            self.fault(f"{key} must be a list of texts")
            return ()
        return tuple(value)

    def names(self, key: str, known: Collection[str], kind: str) -> tuple[str, ...]:
        """A list of names there are, each once; `kind`: what they are names of."""
        found = tuple(dict.fromkeys(self.texts(key)))
        for one in found:
            if one not in known:
                self.fault(f"{key}: there is no {kind} {one!r}")
        return found

    def path(self, key: str, default: str | None = None) -> Path | None:
        """An absolute path; None where it is missing or no text. Whether anything is there is not looked at."""
        text = self.text(key, default)
        return (self._folder / text).absolute() if text else None

    # -- tables inside

    def table(self, key: str) -> SettingsTable:
        """The table under a key, empty where there is none."""
        self._taken.add(key)
        return SettingsTable(self._raw.get(key, {}), f"{self.name}.{key}", self.faults, self._folder)

    def tables(self, key: str) -> dict[str, SettingsTable]:
        """Tables by name, under a key."""
        whole = self.table(key)
        return {name: whole.table(name) for name in whole.said()}

    def rows(self, key: str) -> list[SettingsTable]:
        """A list of tables."""
        value = self._value(key) or []
        if not isinstance(value, list):
            self.fault(f"{key} must be a list of tables: [[{self.name}.{key}]]")
            return []
        return [
            SettingsTable(one, f"{self.name}.{key} {number}", self.faults, self._folder)
            for number, one in enumerate(value, start=1)
        ]

    def said(self) -> list[str]:
        """Every key of the table, in its order; for tables whose keys are names."""
        return list(self._raw)

    def unknown(self) -> None:
        """Notes what was never asked for; called last."""
        for key in sorted(set(self._raw) - self._taken):
            self.fault(f"{key} is not a known setting")
