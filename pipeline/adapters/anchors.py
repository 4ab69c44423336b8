"""Anchors: places outside the store that get the checkpoints (`Anchor` of `pipeline/notary/model.py`).

- file: signed notes one behind the other, only ever added to, on the disk when `publish` returns;
- webhook: the same notes as the body of one POST;
- witness: C2SP tlog-witness, with the proof that the tree continues what the witness saw; what comes back is stored.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.webhook import signed_headers
from pipeline.errors import AccesstrailError, NoteRejected
from pipeline.ledger.cosignature import WitnessKey, cosigned_at
from pipeline.ledger.growth import consistency
from pipeline.ledger.proofs import Proof
from pipeline.ledger.witnessing import request_body
from pipeline.notary.model import WITNESS_AHEAD, WITNESS_REFUSED, Anchor, ProofStore, SignedCheckpoint
from pipeline.notary.settings import AnchorSettings
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.outcome import Answer
from pipeline.private_files import sync_folder

DISK, WITNESS_ANSWER, NO_PROOF = "anchor_disk", "witness_answer", "witness_no_proof"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_READ_BYTES = 64 << 20
_NOTES_AT_ONCE = 200
_MARK = "— ".encode()
_TRIES = 3
"""A witness names the size it knows; another notary may ask in between."""


class FileAnchor:
    """Kind `file`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, signed: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        """As `Anchor.publish`: all in one write, or none."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_new = not self._path.exists()
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                _mend(descriptor)
                _write_all(descriptor, b"".join(one.note for one in signed))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(self._path.parent)
        except OSError:
            return {one.origin: DISK for one in signed}
        return {}

    def newest(self) -> bytes:
        """The last part of what it holds, from a note's begin to a note's end. Raises: OSError."""
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _READ_BYTES))
            content = file.read()
        content = content[: _whole(content)]
        return content if size <= _READ_BYTES else content[_first_begin(content) :]


def _mend(descriptor: int) -> None:
    """Takes away what a crash left half written at the end: it was never acknowledged."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    start = max(0, size - (1 << 16))
    tail = os.pread(descriptor, size - start, start)
    whole = _whole(tail)
    if whole < len(tail):
        os.ftruncate(descriptor, start + whole)


def _whole(content: bytes) -> int:
    """Up to where it ends in whole notes: behind the last signature line that ends in a newline."""
    end = len(content)
    while end:
        begin = content.rfind(b"\n", 0, end - 1) + 1
        if content[begin:end].startswith(_MARK) and content[begin:end].endswith(b"\n"):
            return end
        end = begin
    return 0


def _first_begin(content: bytes) -> int:
    """Where the first note begins in what was cut anywhere: behind the first run of signature lines."""
    at = content.find(b"\n" + _MARK)
    while at >= 0:
        at = content.find(b"\n", at + 1) + 1
        if at == 0 or not content.startswith(_MARK, at):
            return at or len(content)
        at -= 1
    return len(content)


def _write_all(descriptor: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.write(descriptor, content[written:])


class WebhookAnchor:
    """Kind `webhook`; any 2xx is a receipt."""

    def __init__(self, settings: ChannelSettings, client: HttpClient, now_s: Callable[[], float] = time.time) -> None:
        self._settings, self._client, self._now_s = settings, client, now_s

    def publish(self, signed: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        """As `Anchor.publish`; at most 200 notes a request."""
        failed: dict[str, str] = {}
        for at in range(0, len(signed), _NOTES_AT_ONCE):
            some = signed[at : at + _NOTES_AT_ONCE]
            code = self._post(b"".join(one.note for one in some))
            failed |= {one.origin: code for one in some if code}
        return failed

    def _post(self, body: bytes) -> str:
        now_us, secret = round(self._now_s() * 1e6), self._settings.secret
        headers = {**_PLAIN, **(signed_headers(secret, body, now_us) if secret else {})}
        return _failure(self._client.post("", body, now_us, headers))


def _failure(answer: Answer) -> str:
    """Why it is no receipt; "" where it is one."""
    if answer.failure:
        return answer.failure
    if 300 <= answer.status < 400:
        return "redirected"
    return "" if 200 <= answer.status < 300 else f"http_{answer.status}"


class WitnessAnchor:
    """Kind `witness`. `open_store`: a connection of this thread's own, made at the first use."""

    def __init__(
        self, settings: ChannelSettings, client: HttpClient, key: WitnessKey, open_store: Callable[[], ProofStore],
        now_s: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._settings, self._client, self._key, self._now_s = settings, client, key, now_s
        self._open_store = open_store
        self._store: ProofStore | None = None
        self._sizes: dict[str, int] = {}

    def publish(self, signed: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        """As `Anchor.publish`: one request a tree; cosigned notes are stored together."""
        failed: dict[str, str] = {}
        cosigned: list[SignedCheckpoint] = []
        for one in signed:
            try:
                found = self._ask(one)
            except AccesstrailError as exc:
                found = exc.code
            if isinstance(found, str):
                failed[one.origin] = found
            elif found is not None:
                cosigned.append(found)
        return {**failed, **self._keep(cosigned)}

    def _keep(self, cosigned: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        """Stores them; what cannot be stored is asked for again, which a witness answers at any time."""
        try:
            if cosigned:
                self._proofs().add(cosigned)
        except AccesstrailError as exc:
            return {one.origin: exc.code for one in cosigned}
        return {}

    def _proofs(self) -> ProofStore:
        self._store = self._store or self._open_store()
        return self._store

    def _ask(self, one: SignedCheckpoint) -> SignedCheckpoint | str | None:
        """The cosigned checkpoint, or a code; None where another notary was further on. Raises: Away; StoreRefused."""
        origin, size = one.origin, one.checkpoint.size
        for _ in range(_TRIES):
            old = self._sizes.get(origin, 0)
            proof = self._proof(one, old)
            if proof is None:
                return NO_PROOF
            answer = self._post(request_body(old, proof, one.note))
            if answer.failure or answer.status not in (200, 409):
                return WITNESS_REFUSED if answer.status in (403, 404, 422) else _failure(answer) or WITNESS_ANSWER
            if answer.status == 200:
                return self._taken(one, answer.body)
            known = _size_in(answer.body)
            if known is None:
                return WITNESS_ANSWER
            if known > size:
                return WITNESS_AHEAD if self._proofs().at_size(one.checkpoint.name, known) is None else None
            if known == old:
                return WITNESS_REFUSED  # of this very size it holds another root
            self._sizes[origin] = known
        return WITNESS_ANSWER

    def _post(self, body: bytes) -> Answer:
        return self._client.post("/add-checkpoint", body, round(self._now_s() * 1e6), _PLAIN)

    def _proof(self, one: SignedCheckpoint, old: int) -> Proof | None:
        """That the tree continues the one of `old` leaves; None where the store does not lead there."""
        name, size = one.checkpoint.name, one.checkpoint.size
        if old in (0, size):
            return ()
        found = self._proofs().at_size(name, old)
        if found is None:
            return None
        before, last_offset = found
        try:
            proof, after = consistency(before, size, self._proofs().leaves_between(name, last_offset, one.last_offset))
        except ValueError:
            return None
        return proof if after.root() == one.checkpoint.root else None

    def _taken(self, one: SignedCheckpoint, body: bytes) -> SignedCheckpoint | str:
        self._sizes[one.origin] = one.checkpoint.size
        try:
            line, _ = cosigned_at(one.checkpoint.text(), body.decode(errors="replace"), self._key)
        except NoteRejected as exc:
            return exc.code
        return replace(one, note=one.note + line.encode())


def _size_in(body: bytes) -> int | None:
    text = body.decode("ascii", errors="replace").removesuffix("\n")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def make_anchor(settings: AnchorSettings, open_store: Callable[[], ProofStore]) -> Anchor:
    """The anchor of these settings. Raises: OSError: its authorities' file holds none."""
    if settings.file is not None:
        return FileAnchor(settings.file)
    assert settings.endpoint is not None  # noqa: S101  `anchors_from` sees to it
    client = HttpClient(settings.endpoint)
    if settings.witness is None:
        return WebhookAnchor(settings.endpoint, client)
    return WitnessAnchor(settings.endpoint, client, settings.witness, open_store)
