"""Writes the worked example of docs/guides/reading-an-alert.md; a test fails when it is stale.

The event is made by hand: an agent of customer service takes out 2,400 records with a device new to the account.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.unit.detectors.explanations import told

PATH = Path(__file__).resolve().parents[2] / "docs" / "guides" / "reading-an-alert.md"
_BEGIN, _END = "<!-- example -->\n", "<!-- end of example -->\n"


def render() -> str:
    """The whole guide with its example made anew."""
    found = told(
        ["rule:bulk_export", "feature:exported_day", "feature:new_device"],
        seen={"exported_day": 2400, "new_device": 0.9},
        rare={"exported_day": 3.4, "exported_day_own": 3.0, "new_device": 2.3},
        own={name: (float(np.log1p(4.0)), 0.8) for name in ("subjects_day", "exported_day", "exported_day_own")},
        risk=9000,
        floor=9000,
    )
    numbers = "\n".join(f"    {name} = {value:.4f}" for name, value in sorted(found.numbers.items()))
    example = (
        f"> {found.text.en}\n>\n> {found.text.zh}\n\nIts numbers follow from what is stored with it:\n\n{numbers}\n"
    )
    guide = PATH.read_text(encoding="utf-8")
    before, rest = guide.split(_BEGIN)
    return before + _BEGIN + example + _END + rest.split(_END)[1]


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(render())
    else:
        PATH.write_text(render(), encoding="utf-8")
