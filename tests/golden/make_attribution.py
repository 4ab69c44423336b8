"""Writes tests/golden/attribution.json: a small forest, rows, and what the shap package says about them.

shap is no dependency of this project: `uv run --with shap==0.51.0 python -m tests.golden.make_attribution`. Its values
are parts of the mean path length of the trees.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest

from detectors.isolation_forest import flatten

PATH = Path(__file__).with_name("attribution.json")
TREE_FIELDS = ("feature", "threshold", "left", "path", "roots", "depths")


def main() -> None:
    """Fits, asks shap, writes."""
    import shap

    chance = np.random.default_rng(20261126)
    history = chance.gamma(1.0, 1.0, (400, 7)).astype(np.float32)
    history[:, 0] = np.round(history[:, 0])  # many equal values, as surprisals have
    history[history < 0.5] = 0.0
    fitted = IsolationForest(n_estimators=6, max_samples=48, random_state=3).fit(history)
    rows = np.vstack((history[:6], history[6:10] * 4.0, np.zeros((1, 7)), np.full((1, 7), 9.0))).astype(np.float32)
    values = shap.TreeExplainer(fitted, feature_perturbation="tree_path_dependent").shap_values(rows)
    forest = flatten(fitted)
    content = {
        "shap": shap.__version__,
        "forest": {name: getattr(forest, name).tolist() for name in TREE_FIELDS} | {"norm": forest.norm},
        "rows": rows.tolist(),
        "values": np.asarray(values).tolist(),
    }
    PATH.write_text(json.dumps(content).replace("Infinity", "1e999") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
