"""Every attack as a person's steps, by theme; `SCENARIOS` holds them by name."""

from __future__ import annotations

from pipeline.sources.simulate.attacks import curiosity, evidence, identity, outside, privilege, volume
from pipeline.sources.simulate.attacks.story import STRENGTHS, Act, Scenario

__all__ = ["SCENARIOS", "STRENGTHS", "Act", "Scenario"]

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for module in (volume, identity, curiosity, privilege, outside, evidence)
    for scenario in module.SCENARIOS
}
