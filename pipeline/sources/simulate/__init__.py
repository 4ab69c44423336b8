"""A believable company's access events, with labelled attacks and their benign twins.

Place in the flow: a source for demos, training and evaluation. A company is drawn from wide ranges (`draw`); its
people, machines and partners live through days (`work`, `jobs`, `machines`) with benign trouble (`trouble`, `surges`);
attacks are written as a person's steps (`attacks`) and never from the detectors' features (the import contract forbids
looking at them). Sources then send the events with their own faults (`sending`). Deterministic: the same arguments give
the same bytes on every machine; no clock is read.
"""

from __future__ import annotations

from pipeline.sources.simulate.company import Company
from pipeline.sources.simulate.directory import write_directory
from pipeline.sources.simulate.draw import draw_company
from pipeline.sources.simulate.life import Labelled
from pipeline.sources.simulate.live import Chapter, Story, demo_story, goes_on
from pipeline.sources.simulate.simulation import Simulation

__all__ = [
    "Chapter",
    "Company",
    "Labelled",
    "Simulation",
    "Story",
    "demo_story",
    "draw_company",
    "goes_on",
    "write_directory",
]
