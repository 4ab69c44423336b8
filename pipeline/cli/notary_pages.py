"""How a running notary and its anchors are: status file, /livez, /readyz, /metrics. Numbers, codes, names of trees."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.adapters.health_server import HealthServer
from pipeline.adapters.process import open_files, resident_bytes
from pipeline.adapters.small_server import Page
from pipeline.adapters.status_file import StatusFile
from pipeline.config import Settings
from pipeline.health.metrics import CONTENT_TYPE, Samples
from pipeline.health.troubles import explain
from pipeline.notary.anchoring import Anchoring, AnchorStanding
from pipeline.notary.model import ANCHOR_AGE, WITNESS_AHEAD, WITNESS_REFUSED
from pipeline.notary.notary import Round

_log = logging.getLogger(__name__)
_JSON = "application/json; charset=utf-8"
_AT_ONCE = (WITNESS_REFUSED, WITNESS_AHEAD)
"""Codes of an anchor that are told without waiting for its age: another history is somewhere."""


@dataclass(frozen=True, slots=True)
class NotaryState:
    """How the notary is. `fault`: the code why rounds do not end; `round_s`: when the last one ended well."""

    fault: str = ""
    round_s: float = 0.0
    checkpoints: int = 0
    last: Round = field(default_factory=Round)
    problems: Sequence[str] = ()


class NotaryPages:
    """How the notary and its anchors are, over HTTP and in its status file; numbers, codes and names of trees only."""

    def __init__(self, settings: Settings, name: str, anchorings: Sequence[Anchoring]) -> None:
        self.state = NotaryState()
        self._anchorings = anchorings
        self._alert_s = settings.ledger.anchor_age_alert_s
        self._stalled_s = settings.health.stalled_after_s
        self._started_s = time.time()
        folder = settings.state_dir / "run"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = StatusFile(folder, name, "notary")
        self._file.clear_stale()
        pages = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}
        # The configured port is the worker's; with one host for both, this takes a free one.
        self._server = HealthServer(settings.health.host, 0, pages)
        self._server.start()

    def write(self) -> None:
        """Says how it stands; a full disk must not end a notary that still signs."""
        host, port = self._server.address
        try:
            self._file.write({"health": f"http://{host}:{port}", "ready": self._is_ready(), **self._said()})
        except OSError as exc:
            _log.warning("the status file cannot be written: %s", exc.strerror)

    def close(self) -> None:
        """The notary ends."""
        self._server.close()
        self._file.remove()

    def _is_ready(self) -> bool:
        return self.state.round_s > 0 and not self.state.fault

    def _said(self) -> Mapping[str, object]:
        state = self.state
        return {
            "code": state.fault,
            "trees": state.last.trees,
            "checkpoints": state.checkpoints,
            "last_round": _time_text(state.round_s),
            "refused": [{"tree": tree, "code": code} for tree, code in state.last.refused.items()],
            "anchors": [_anchor_said(one.standing()) for one in self._anchorings],
            "reasons": [*self._reasons()],
        }

    def _reasons(self) -> list[dict[str, object]]:
        """What is not as it should be, with words."""
        state = self.state
        codes: list[tuple[str, str]] = [(state.fault, "")] if state.fault else []
        codes += [(code, "") for code in state.problems]
        codes += [(code, tree) for tree, code in state.last.refused.items()]
        for anchoring in self._anchorings:
            one = anchoring.standing()
            if one.code in _AT_ONCE:
                codes.append((one.code, one.name))
            elif one.age_s > self._alert_s:
                codes.append((ANCHOR_AGE, one.name))
        return [
            {"code": code, "what": explain(code).meaning, **({"place": place} if place else {})}
            for code, place in codes
        ]

    def _livez(self) -> Page:
        live = time.time() - max(self._started_s, self.state.round_s) < self._stalled_s or bool(self.state.fault)
        return Page(json.dumps({"live": live}) + "\n", 200 if live else 503, _JSON)

    def _readyz(self) -> Page:
        ready = self._is_ready()
        return Page(json.dumps({"ready": ready, **self._said()}) + "\n", 200 if ready else 503, _JSON)

    def _metrics(self) -> Page:
        state, samples = self.state, Samples()
        samples.add("notary_checkpoints_total", state.checkpoints)
        samples.add("notary_trees", state.last.trees)
        for code, number in sorted(Counter(state.last.refused.values()).items()):
            samples.add("notary_trees_refused", number, code=code)
        samples.add("notary_round_age_seconds", max(0.0, time.time() - max(self._started_s, state.round_s)))
        for one in (anchoring.standing() for anchoring in self._anchorings):
            samples.add("notary_anchor_age_seconds", one.age_s, anchor=one.name)
            samples.add("notary_anchored_timestamp_seconds", one.anchored_s, anchor=one.name)
            samples.add("notary_anchored_total", one.checkpoints, anchor=one.name)
        samples.add("process_resident_memory_bytes", resident_bytes())
        samples.add("process_open_file_descriptors", open_files())
        samples.add("process_start_timestamp_seconds", self._started_s)
        return Page(samples.text(), 200, CONTENT_TYPE)


def _anchor_said(one: AnchorStanding) -> dict[str, object]:
    return {
        "name": one.name, "kind": one.kind, "code": one.code, "anchored_at": _time_text(one.anchored_s),
        "age_s": round(one.age_s, 1), "waiting": one.waiting, "checkpoints": one.checkpoints,
    }  # fmt: skip


def _time_text(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
