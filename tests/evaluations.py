"""Small evaluations for tests: scored events, alerts and labels, built a line at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.evaluation.evidence import DAY_US, AlertRecord, Evidence, Label, ScoreRecord, gather

MINUTE_US = 60_000_000
START_US = 20_000 * DAY_US  # 2024-10-04T00:00:00Z


@dataclass
class Case:
    """Records of one evaluation, built a line at a time; times in minutes after the start."""

    scores: list[ScoreRecord] = field(default_factory=list)
    alerts: list[AlertRecord] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    twins: list[Label] = field(default_factory=list)
    strengths: dict[str, str] = field(default_factory=dict)

    def event(
        self, name: str, actor: str = "a", minute: float = 0.0, risk: float = 0.0, attack: str = "", twin: str = "",
        alert: bool = False, anomaly: float = 0.0,
    ) -> Case:  # fmt: skip
        """One scored event; `attack` and `twin` are scenario:number."""
        at_us = START_US + int(minute * MINUTE_US)
        self.scores.append(ScoreRecord(name, risk, anomaly, actor, at_us))
        if alert:
            self.alerts.append(AlertRecord(name, actor, at_us))
        for story, labels in ((attack, self.labels), (twin, self.twins)):
            if story:
                labels.append(Label(name, story.partition(":")[0], story))
        return self

    def evidence(self) -> Evidence:
        """As columns."""
        return gather(self.scores, self.alerts, self.labels, self.strengths, self.twins)


def two_attacks() -> Case:
    """One strong export found after ten minutes, one weak drip over two days that nobody saw, one false alert."""
    case = Case(strengths={"export:1": "strong", "drip:1": "weak"})
    case.event("e1", "a", 0, 80, attack="export:1").event("e2", "a", 10, 90, attack="export:1", alert=True)
    case.event("d1", "b", 0, 10, attack="drip:1").event("d2", "b", 2 * 1440, 20, attack="drip:1")
    return case.event("o1", "c", 5, 85, alert=True).event("o2", "c", 4 * 1440, 0)
