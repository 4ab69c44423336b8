"""Whom a token stands for: as the vault says, else as far as the directory does, every account and few data subjects.

Place in the flow: asked by the reveal page and by looks at data subjects, never by the pipeline. Tokens cannot be
turned back; the vault keeps identities encrypted, and of the names in the directory's files the tokens are made and
compared. Whom somebody had erased the directory does not name either, though it may still list them.

The files are read again when they change. What is read stays in this process's memory.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.errors import DirectoryError
from pipeline.privacy.key_file import Keys
from pipeline.privacy.keys import Keyring
from pipeline.privacy.tokens import Tokeniser

_FILES = ("actors.csv", "subjects.csv")
_OWN = "own_subject_ids"
_Known = dict[tuple[str, str], str]
_Stamp = tuple[tuple[object, ...], ...]


class Vault(Protocol):
    """What is asked of the vault."""

    def of(self, kind: str, token: str) -> str | None:
        """The identifier behind a token (hex); None: the vault does not hold it."""
        ...

    def was_erased(self, token: str) -> bool:
        """Whether it was in the vault and taken out."""
        ...


class VaultIdentities:
    """The vault first, then the directory; safe between threads where both are."""

    def __init__(self, vault: Vault, directory: DirectoryIdentities) -> None:
        self._vault, self._directory = vault, directory

    def of(self, kind: str, token: str) -> str | None:
        """The identifier behind a token (hex); None: nobody here knows it. Raises: Away; DirectoryError."""
        found = self._vault.of(kind, token)
        if found is not None or self._vault.was_erased(token):
            return found
        return self._directory.of(kind, token)


class DirectoryIdentities:
    """Identities of one tenant; safe between threads. `accounts`: names of accesstrail's own accounts, asked anew."""

    def __init__(self, folder: Path, keys: Keys, tenant: str, accounts: Callable[[], Iterable[str]] = tuple) -> None:
        self._folder, self._keys, self._tenant, self._accounts = folder, keys, tenant, accounts
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._known: _Known = {}

    def of(self, kind: str, token: str) -> str | None:
        """The identifier behind a token (hex); None: nobody here knows it. Raises: DirectoryError."""
        with self._lock:
            keyring = self._keys.current
            stamp = (*self._files_stamp(), keyring.version_ids)
            if stamp != self._stamp:
                makers = {kind: _tokenisers(keyring, self._tenant, kind) for kind in ("actor", "subject")}
                self._known, self._stamp = dict(self._read(makers)), stamp
            found = self._known.get((kind, token))
        if found is None and kind == "actor":
            return next((name for name in self._accounts() if token in self._tokens_of(keyring, name)), None)
        return found

    def _tokens_of(self, keyring: Keyring, account: str) -> Iterator[str]:
        return (token.hex() for token in keyring.tokens(self._tenant, "actor", account))

    def _files_stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Changes whenever one of the files does, also where another one is put in its place."""
        found = []
        for name in _FILES:
            try:
                facts = (self._folder / name).stat()
                found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def _read(self, makers: Mapping[str, Sequence[Tokeniser]]) -> Iterator[tuple[tuple[str, str], str]]:
        """Every name under each of its tokens: under the key that signs, and under those before it."""
        for kind, identifier in self.listed():
            for token_of in makers[kind]:
                yield (kind, token_of(identifier).hex()), identifier

    def listed(self) -> Iterator[tuple[str, str]]:
        """Kind and identifier of everybody whom the files name. Raises: DirectoryError."""
        for row in self._rows("actors.csv"):
            identifier = (row.get("actor_id") or "").strip()
            if identifier:
                yield "actor", identifier
            for own in (row.get(_OWN) or "").split(";"):
                if own.strip():
                    yield "subject", own.strip()
        for row in self._rows("subjects.csv"):
            identifier = (row.get("subject_id") or "").strip()
            if identifier:
                yield "subject", identifier

    def _rows(self, name: str) -> Iterator[dict[str, str]]:
        try:
            with (self._folder / name).open(encoding="utf-8-sig", newline="") as lines:
                yield from csv.DictReader(lines)
        except FileNotFoundError:
            return
        except (OSError, ValueError, csv.Error):  # its words could hold what the file holds
            raise DirectoryError(f"{name} of the directory cannot be read") from None


def _tokenisers(keyring: Keyring, tenant: str, kind: str) -> list[Tokeniser]:
    return [Tokeniser(keyring.signing_with(version), tenant, kind) for version in keyring.version_ids]
