"""`make evaluate`: how good detection is on fifteen simulated companies, five of them never looked at while tuning.

One company at a time, each step a process of its own. A finished company's result is kept in the cache folder under the
hash of all code that could change it, so an interrupted evaluation goes on where it was, and any change of the code
begins anew. A company of 144 accounts (467,000 events) takes two minutes of an idle core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.evaluate.companies import SETS, CompanyPlan, drawn
from tests.evaluate.company_run import ROOT, run_company, versions
from tests.evaluate.table import render

PAGE = ROOT / "docs" / "reference" / "evaluation.md"


Run = Callable[[CompanyPlan, Path, Callable[[str], None]], dict[str, Any]]


def kept_or_run(seed: int, cache: Path, run: Run = run_company) -> dict[str, Any]:
    """The company's result, from the cache where the code is still the same."""
    place = cache / versions()["code"] / f"{seed}.json"
    if place.is_file():
        print(f"company {seed}: kept from before", flush=True)
        return dict(json.loads(place.read_bytes()))
    plan = drawn(seed)
    begun = time.monotonic()
    print(f"company {seed}: {plan.actors} accounts, {len(plan.scenarios)} scenarios …", flush=True)
    result = run(plan, cache / "work" / str(seed), lambda text: print(f"  {text}", flush=True))
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_suffix(".part")
    temporary.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    temporary.rename(place)
    report = result["report"]
    print(
        f"company {seed}: recall {report['recall']}, PR-AUC {report['pr_auc_actor_day']}, {report['alerts_per_day']}"
        f" alerts a day; {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    return result


def main() -> None:
    """Runs what is not there yet and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate", description=__doc__)
    parser.add_argument("--set", choices=[*SETS, "all"], default="all", help="whose companies [default: all]")
    parser.add_argument("--companies", type=int, metavar="N", help="only the first N of each set")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="these companies instead")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "evaluate", help="where results are kept")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.relative_to(ROOT)} too")
    options = parser.parse_args()
    chosen = [name for name in SETS if options.set in (name, "all")]
    seeds = options.seeds or [seed for name in chosen for seed in SETS[name][: options.companies]]
    page = render([kept_or_run(seed, options.cache) for seed in seeds])
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
        print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
