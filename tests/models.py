"""A small trained model for tests that need one but not its judgement."""

from __future__ import annotations

from functools import cache

import numpy as np

from detectors import isolation_forest, surprisal
from detectors.combine import calibrate
from detectors.features import N_FEATURES
from detectors.model import Model


@cache
def small_model(threshold: int = 6543, seed: int = 1, rule_threshold: int = 8200) -> Model:
    """Trained on random features, each event a day of its own; another seed is another model."""
    history = np.random.default_rng(seed).gamma(1.0, 1.0, (2000, N_FEATURES)).astype(np.float32)
    names, groups = ["retail/advisor", ""], np.repeat(np.array([0, 1], np.int32), 1000)
    peers = surprisal.fit(history, names, groups)
    surprise = surprisal.surprisals(history, peers.index(names, groups), peers)
    forest = isolation_forest.fit(surprise[:600])
    calibration = calibrate(isolation_forest.scores(forest, surprise), surprise, np.arange(2000))
    return Model(forest, peers, calibration, threshold, history[:32], {"seed": seed}, {}, rule_threshold)
