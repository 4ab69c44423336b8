"""A bundle about one data subject as one archive, for the console: within limits, never more than one at a time.

Place in the flow: beside `accesstrail evidence export`, whose selection it is. Somebody waits for it and the console
serves others meanwhile, so rows, bytes, the span of log that one proof needs and the time are bounded; what is larger
is exported by command. The draft lies in the state folder, readable by its owner alone, and is gone before the archive
leaves. The archive holds the bundle and, beside it, how to verify it.
"""

from __future__ import annotations

import io
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dashboards.console.audit_ports import ProvenBundle
from pipeline.adapters.bundle_reading import StoredEvidence
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.evidence import EvidenceTree, Row, by_tree, export_selection
from pipeline.audit.export import MOST_EXPORTED
from pipeline.cli.evidence import Wanted, add_keys, await_signed
from pipeline.config import Settings
from pipeline.errors import UsageError
from pipeline.ledger.bundle_form import SELECTION
from pipeline.ledger.bundle_writing import BundleWriter

MOST_BYTES = 64 * 1024 * 1024
"""Of the files together, before they are packed."""
MOST_SPAN = 100_000
"""Offsets of the log that are read for one proof."""
LONGEST_S = 120.0
_DRAFT, _OLD_S = ".bundle-", 3_600
_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The same evidence gives the same archive."""
HOW = """\
Verify this bundle on a computer that you trust; you need no access to the system that made it.

1. Get the ledger's public keys (ledger.pub) on another way than this archive.
2. accesstrail verify --bundle {folder} --keys ledger.pub
   or, with the stand-alone verifier: python -m accesstrail_verify {folder} --keys ledger.pub

It proves that each of these accesses stands in the signed log, unchanged. It does not prove that none was left out:
only a range of the whole log proves that, which two people export by command.

在您信任的计算机上校验，无需访问导出系统：
1. 经由本压缩包之外的途径取得账本公钥（ledger.pub）。
2. 运行上述任一命令。
它证明每条访问均在已签名的日志中且未被改动；不证明没有遗漏，后者只能由两人用命令导出的整段日志证明。
"""


class _Bounded(StoredEvidence):
    """The store's evidence for somebody who waits. Raises beyond what others do: UsageError `export_large`."""

    def __init__(self, questions: Questions, ends_s: float, monotonic: Callable[[], float]) -> None:
        super().__init__(questions)
        self._ends_s, self._monotonic = ends_s, monotonic

    def rows_between(self, tree: EvidenceTree, first_offset: int, last_offset: int) -> Sequence[Row]:
        """The leaves of a range that is not too long, while there is time."""
        if last_offset - first_offset >= MOST_SPAN or self._monotonic() > self._ends_s:
            raise _too_large()
        return super().rows_between(tree, first_offset, last_offset)


class EvidenceArchives:
    """Makes archives for the console's viewers. `monotonic`: the clock of the time limit."""

    def __init__(
        self, settings: Settings, questions: Questions, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._questions, self._monotonic = settings, questions, monotonic
        self._turn = threading.Lock()
        _clear_drafts(settings.state_dir)

    def of_subject(self, tenant: str, tokens: Sequence[str], span_us: tuple[int, int], made_us: int) -> ProvenBundle:
        """The accesses to one data subject, each with its proof.

        Raises: UsageError `nothing_found`, `export_large`, `not_signed_yet`, `export_busy`, `draft_failed`; Away;
        StoreRefused.
        """
        if not self._turn.acquire(blocking=False):
            raise UsageError("another bundle is being made: try again in a minute", code="export_busy")
        try:
            _clear_drafts(self._settings.state_dir)  # a console that was killed leaves evidence behind
            with TemporaryDirectory(prefix=_DRAFT, dir=self._settings.state_dir) as draft:
                stamp = datetime.fromtimestamp(made_us / 1e6, UTC).strftime("%Y%m%dT%H%M%SZ")
                folder = Path(draft) / f"accesstrail-evidence-{stamp}"
                return self._made(folder, tenant, tokens, span_us, made_us)
        except OSError as exc:
            raise UsageError(
                f"the draft of the bundle cannot be written: {exc.strerror}", code="draft_failed"
            ) from None
        finally:
            self._turn.release()

    def _made(
        self, folder: Path, tenant: str, tokens: Sequence[str], span_us: tuple[int, int], made_us: int
    ) -> ProvenBundle:
        source = _Bounded(self._questions, self._monotonic() + LONGEST_S, self._monotonic)
        places = source.places("subject", tenant, tokens, span_us, MOST_EXPORTED + 1)
        if not places:
            raise UsageError("there is no such access: nothing is exported", code="nothing_found")
        if len(places) > MOST_EXPORTED:
            raise _too_large()
        wanted = Wanted("subject", "", *span_us, tenant)
        with BundleWriter(folder, self._settings.ledger.deployment) as bundle:
            offsets = by_tree(places, source.trees())
            await_signed(source, offsets)
            exported = export_selection(source, offsets, bundle)
            add_keys(self._settings, bundle)
            fingerprint = bundle.finish(SELECTION, wanted.query, made_us)
        body = _packed(folder)
        return ProvenBundle(
            body=body, name=f"{folder.name}.zip", rows=exported.rows, trees=exported.trees, fingerprint=fingerprint
        )


def _packed(folder: Path) -> bytes:
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    if sum(one.stat().st_size for one in files) > MOST_BYTES:
        raise _too_large()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in files:
            name = str(Path(folder.name) / one.relative_to(folder))
            archive.writestr(_entry(name), one.read_bytes())
        archive.writestr(_entry("HOW-TO-VERIFY.txt"), HOW.format(folder=folder.name))
    return packed.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    return entry


def _too_large() -> UsageError:
    return UsageError(
        "too much for one person to take out at once here: choose a shorter period, or have it exported by command",
        code="export_large",
    )


def _clear_drafts(state_dir: Path) -> None:
    """What a killed console left; another console of this folder may be at work on a younger one."""
    for path in state_dir.glob(f"{_DRAFT}*"):
        try:
            is_old = time.time() - path.stat().st_mtime > _OLD_S
        except OSError:
            continue  # its owner was faster
        if is_old and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
