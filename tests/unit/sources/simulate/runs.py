"""Simulated runs that several tests look at; each is made once."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import NamedTuple

from pipeline.sources.simulate import Labelled, Simulation, draw_company
from pipeline.sources.simulate.attacks import Act

SEEDS = (2, 3, 8)
START = date(2026, 9, 1)


class Run(NamedTuple):
    """A consumed simulation and what it sent, in the order of sending."""

    simulation: Simulation
    events: list[Labelled]


@cache
def run(seed: int) -> Run:
    """Weeks of a company with every scenario in every strength."""
    simulation = Simulation(draw_company(seed, 80), START, 24, seed)
    return Run(simulation, list(simulation.events()))


class Told(NamedTuple):
    """A story by itself, before any source lost or repeated anything, and the work items it left."""

    act: Act
    events: list[Labelled]
    work_items: list[dict[str, object]]


@cache
def stories(seed: int) -> tuple[Simulation, list[Told]]:
    """All stories of a larger company, three of each strength, without the ordinary days around them."""
    simulation = Simulation(draw_company(seed, 250), START, 70, seed, attacks_per_scenario=9)
    found = []
    for act in simulation.acts:
        before = len(simulation.desk.work_items)
        events = list(simulation._told(act))
        found.append(Told(act, events, simulation.desk.work_items[before:]))
    return simulation, found
