"""The ledger's signing keys as files: one private key in use, and every public one that ever was.

Place in the flow: made by `accesstrail up` and `accesstrail keys ledger`, read by the notary and by verification. The
file of public keys only grows: checkpoints of an earlier key stay verifiable. Each key after the first is stated by a
note that the key before it has signed, so that whoever knows the first can follow to the newest.

Rotation is: the statement, then the public key, then the private one in its place. A crash in between leaves a public
key without use, never a signature that nobody can check; the next rotation goes on with another key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.ledger.signed_note import PrivateKey, PublicKey, load_private_key, load_public_keys, sign
from pipeline.private_files import sync_folder, write_new

_STATEMENT = "accesstrail ledger key rotation/1"


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where the keys lie."""

    private: Path
    public: Path

    def note(self, number: int) -> Path:
        """Where the statement about the key after the `number`th lies."""
        return self.public.with_name(f"{self.public.stem}-rotation-{number}.note")


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. `number`: 1 for the first one."""

    number: int
    old: PublicKey
    new: PublicKey
    note: Path


def ensure(files: KeyFiles, name: str) -> PublicKey:
    """The key in use; made where there is none, its public half listed where it is not.

    Raises: ConfigError: a file cannot be read or written, or public keys are listed whose private one is gone.
    """
    if not files.private.exists():
        if files.public.exists() and _listed(files.public):
            raise ConfigError([f"ledger key: {files.private} is gone, but {files.public} lists its public half"])
        _write_new(files.private, _generated(name).text() + "\n", 0o600)
    public = load_private_key(files.private).public
    if public not in _listed(files.public):
        _append(files.public, f"{public}\n")
    return public


def current(files: KeyFiles) -> PrivateKey:
    """The private key in use. Raises: ConfigError: none, or its public half is not listed: nobody could check it."""
    key = load_private_key(files.private)
    if key.public not in load_public_keys(files.public):
        raise ConfigError([f"ledger key: {files.public} does not list the public half of {files.private}"])
    return key


def rotate(files: KeyFiles, moment: datetime) -> Rotation:
    """Another key in use from now on; the old one states it, and stays listed. Raises: ConfigError."""
    old = current(files)
    number = 1
    while files.note(number).exists():
        number += 1
    new = PrivateKey.generate(old.name)
    when = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = f"{_STATEMENT}\n{number}\n{when}\n{old.public}\n{new.public}\n"
    _write_new(files.note(number), sign(text, [old]).decode(), 0o644)
    _append(files.public, f"# from {when}, stated by {files.note(number).name}\n{new.public}\n")
    _replace(files.private, new.text() + "\n")
    return Rotation(number, old.public, new.public, files.note(number))


def _generated(name: str) -> PrivateKey:
    try:
        return PrivateKey.generate(name)
    except ValueError as exc:
        raise ConfigError([f"ledger key: {exc}"]) from None


def _listed(path: Path) -> tuple[PublicKey, ...]:
    if not path.exists() or not any(
        line.strip() and not line.startswith("#") for line in path.read_text(encoding="utf-8").splitlines()
    ):
        return ()
    return load_public_keys(path)


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(path, text, mode)
        sync_folder(path.parent)
    except OSError as exc:
        raise ConfigError([f"ledger key: {path} cannot be written: {exc.strerror}"]) from None


def _append(path: Path, text: str) -> None:
    """Adds whole lines, on the disk when this returns."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            before = file.read()
            file.write(("\n" if before and not before.endswith("\n") else "") + text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as exc:
        raise ConfigError([f"ledger key: {path} cannot be written: {exc.strerror}"]) from None


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    _write_new(temporary, text, 0o600)
    try:
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as exc:
        raise ConfigError([f"ledger key: {path} cannot be replaced: {exc.strerror}"]) from None
