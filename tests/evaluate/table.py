"""The table of an evaluation: one row a company, then what the tuning and the held-out set have in common, apart.

Shares are pooled over a set's companies (found attacks by attacks); areas and speeds are means, times medians of the
companies' medians. Nothing is computed that is not in the companies' results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from statistics import mean, median
from typing import Any

from detectors.evaluation.fairness import UNKNOWN
from detectors.evaluation.report import table
from detectors.evaluation.shares import share, wilson
from tests.evaluate.ablation import OF_NO_ACCOUNT, RULES, VARIANTS
from tests.evaluate.companies import BUDGET_ACTORS, BUDGET_PER_DAY, SETS

Result = Mapping[str, Any]
Groups = Mapping[str, Sequence[Result]]

_HEAD = """# Evaluation

How good detection is on simulated companies, written by `make evaluate EVALUATE_OPTIONS=--write`. Each company is drawn
by its seed (`accesstrail simulate --company-seed`): {sizes} accounts here, 84 days, some Monday of 2026 as the first.
The model is trained on 56 days; the last 28 are scored at {budget:g} alerts a day for {actors} accounts, alerts really
fired, after suppression. Nothing is taken out of the days of training: attacks planned for their last six taught the
model too, as nobody would have known of them yet. The number of scenarios grows with the company; each is planned once
in every strength. Tuning companies were looked at while detection was changed, held-out ones were not.

A hit is an alert on an event of the attack; an attack counts when at least one of its events was scored. An alert of a
scheduled detector stands at the time of its event, not at the end of its window. Everything comes from this project's
own simulator: expect something else in real use. [Other simulators](other-simulators.md) were measured too.

模拟公司上的检测效果；“tuning”为调优时看过的公司，“held out”为从未看过的公司。命中：告警落在攻击事件上。

Measured {dates}. {versions}{missing}
"""


def by_set(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each set that has any, by seed; seeds of no set are a set of their own."""
    found: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda one: one["plan"]["seed"]):
        seed = result["plan"]["seed"]
        name = next((name for name, seeds in SETS.items() if seed in seeds), "other")
        found.setdefault(name, []).append(result)
    return {name: found[name] for name in (*SETS, "other") if name in found}


def render(results: Sequence[Result]) -> str:
    """The whole page."""
    groups = by_set(results)
    results = [one for some in groups.values() for one in some]
    sizes = [one["plan"]["actors"] for one in results]
    head = _HEAD.format(
        sizes=f"{min(sizes)} to {max(sizes)}", budget=BUDGET_PER_DAY, actors=BUDGET_ACTORS,
        dates=_span(date.fromisoformat(one["date"]) for one in results), versions=_versions(results),
        missing=_missing(results),
    )  # fmt: skip
    parts = [head]
    for title, body in (
        ("## Sets · 两组\n", _sets(groups)),
        ("\n## Companies · 公司\n", _companies(results)),
        ("\n## What each part adds · 消融\n", _ablation(groups)),
        ("\n## Scenarios · 场景\n", _scenarios(groups)),
        ("\n## False alerts on what is harmless · 无害行为的误报\n", _harmless(groups)),
        ("\n## Departments and sites · 部门与地点\n", _fairness(results)),
        ("\n## Alerts a week where thresholds move each night · 阈值每晚调整时的每周告警\n", _weeks(groups)),
        ("\n## Calibration · 校准\n", _calibration(groups)),
        ("\n## Cost · 开销\n", _costs(results)),
    ):
        parts += [title, *body]
    return "\n".join(parts) + "\n"


def _span(dates: Iterable[date]) -> str:
    found = sorted(dates)
    return f"on {found[0]}" if found[0] == found[-1] else f"from {found[0]} to {found[-1]}"


def _versions(results: Sequence[Result]) -> str:
    kinds = {tuple(sorted(one["versions"].items())) for one in results}
    texts = sorted(", ".join(f"{name} {value}" for name, value in kind) for kind in kinds)
    return f"Versions: {'; '.join(texts)}."


def _missing(results: Sequence[Result]) -> str:
    """Which companies of the sets are not in this table."""
    measured = {one["plan"]["seed"] for one in results}
    lacking = {name: [seed for seed in seeds if seed not in measured] for name, seeds in SETS.items()}
    texts = [f"{name} {', '.join(map(str, seeds))}" for name, seeds in lacking.items() if seeds]
    return f" Not measured yet: {'; '.join(texts)}." if texts else ""


def pooled(results: Iterable[Result], strengths: Sequence[str] = ()) -> tuple[int, int]:
    """Found attacks and attacks of these strengths (all if none is named) over the companies' reports."""
    found = attacks = 0
    for result in results:
        for name, row in result["report"]["recall_by_strength"].items():
            if not strengths or name in strengths:
                found, attacks = found + row["found"], attacks + row["attacks"]
    return found, attacks


def _mean(values: Iterable[float | None]) -> float | None:
    kept = [value for value in values if value is not None]
    return round(mean(kept), 4) if kept else None


def _median(values: Iterable[float | None]) -> float | None:
    kept = [value for value in values if value is not None]
    return round(median(kept), 2) if kept else None


def _minutes(results: Iterable[Result], name: str) -> float | None:
    return _median(one["report"]["minutes_to_detect"][name]["median_minutes"] for one in results)


def scenarios_found(results: Iterable[Result]) -> dict[str, dict[str, tuple[int, int]]]:
    """Scenario → strength → found and all attacks over the companies."""
    table_: dict[str, dict[str, tuple[int, int]]] = {}
    for result in results:
        for scenario, rows in result["report"]["recall_by_scenario_and_strength"].items():
            for strength, row in rows.items():
                found, attacks = table_.setdefault(scenario, {}).get(strength, (0, 0))
                table_[scenario][strength] = found + row["found"], attacks + row["attacks"]
    return table_


def _weakest(results: Sequence[Result]) -> str:
    """The scenarios of which less than 0.4 of the strong attacks were found."""
    low = {
        name: rows["strong"]
        for name, rows in scenarios_found(results).items()
        if "strong" in rows and rows["strong"][0] < 0.4 * rows["strong"][1]
    }
    return ", ".join(f"{name} {found} of {of}" for name, (found, of) in sorted(low.items())) or "none"


_MEASURES: tuple[tuple[str, str, Callable[[Sequence[Result]], object]], ...] = (
    ("recall, all · 召回率", "≥ 0.80", lambda some: share(*pooled(some))),
    ("recall, medium and strong · 中强", "≥ 0.90", lambda some: share(*pooled(some, ("medium", "strong")))),
    ("PR-AUC by actor-day, mean", "≥ 0.52", lambda some: _mean(one["report"]["pr_auc_actor_day"] for one in some)),
    (
        "PR-AUC, of events' risk without alerts, mean",
        "",
        lambda some: _mean(one["report"]["pr_auc_actor_day_of_events"] for one in some),
    ),
    (
        "PR-AUC, likewise, attacks of an account, mean",
        "",
        lambda some: _mean(one["variants"][RULES]["pr_auc_of_accounts"] for one in some),
    ),
    ("alerts of the budget · 预算使用", "≤ 1", lambda some: _of_budget(some)),
    ("median minutes to detect, under a day · 突发", "≤ 2", lambda some: _minutes(some, "bursts")),
    ("median days to detect, longer ones · 长期", "≤ 3", lambda some: _days(_minutes(some, "drips"))),
    ("precision, mean · 精确率", "", lambda some: _mean(one["report"]["precision"] for one in some)),
)


def _of_budget(results: Sequence[Result]) -> float:
    allowed = sum(float(one["plan"]["budget_per_day"] * one["report"]["days"]) for one in results)
    return round(sum(int(one["report"]["alerts"]) for one in results) / allowed, 3)


def _days(minutes: float | None) -> float | None:
    return None if minutes is None else round(minutes / 1440, 2)


def _sets(groups: Groups) -> Iterator[str]:
    rows: list[tuple[object, ...]] = []
    for name, bar, measure in _MEASURES:
        values = [measure(some) for some in groups.values()]
        rows.append((name, bar, *values, _difference(values)))
    intervals = [wilson(*pooled(some)) for some in groups.values()]
    rows.append(("95 % of recall, all", "", *(f"{low:.2f}–{high:.2f}" for low, high in intervals), None))
    rows.append(("companies · 公司", "", *map(len, groups.values()), None))
    rows.append(("attacks · 攻击", "", *(pooled(some)[1] for some in groups.values()), None))
    yield from table(("measure · 指标", "bar · 目标", *groups, "difference · 差"), rows)
    yield "\nRecall is to differ by 0.05 at most. Times are medians of the companies' medians.\n"
    yield (
        f"Days by account are the wrong question about {', '.join(OF_NO_ACCOUNT)}:\n"
        "there a source or a customer stands out, and each account's own events are ordinary. *Attacks of an account*\n"
        "leaves these events out; recall counts all. A day ranks by the largest risk of its events and of the alerts\n"
        "that name one of them; *without alerts* by its events alone. Every day of an attack counts as one to be\n"
        "found, of a slow drip's three weeks the first and quietest ones too.\n"
    )
    for name, some in groups.items():
        yield f"Scenarios below 0.4 in strong form, {name} (bar: none): {_weakest(some)}.\n"


def _difference(values: Sequence[object]) -> object:
    numbers = [value for value in values if isinstance(value, int | float)]
    return round(numbers[0] - numbers[1], 4) if len(numbers) == len(values) == 2 else None


def _companies(results: Sequence[Result]) -> Iterator[str]:
    yield from table(
        (
            "seed", "accounts", "first day", "events", "attacks", "alerts a day", "budget", "recall", "medium, strong",
            "PR-AUC", "precision", "min, under a day", "days, longer", "twins alerted", "stability",
        ),
        (_company(one) for one in results),
    )  # fmt: skip


def _company(one: Result) -> tuple[object, ...]:
    plan, report = one["plan"], one["report"]
    twins = report["twins"]
    return (
        plan["seed"], plan["actors"], plan["start"], f"{one['events']:,}", report["attacks"], report["alerts_per_day"],
        round(plan["budget_per_day"], 2), report["recall"], share(*pooled([one], ("medium", "strong"))),
        report["pr_auc_actor_day"], report["precision"], _minutes([one], "bursts"), _days(_minutes([one], "drips")),
        twins and f"{twins['alerted']} of {twins['cases']}", report["stability"] and report["stability"]["index"],
    )  # fmt: skip


def _ablation(groups: Groups) -> Iterator[str]:
    yield (
        "Other scores of the same events at the same budget and suppression; recall pooled, then PR-AUC by actor-day"
        " (mean). The first is scikit-learn's forest as it comes, on raw columns of the event.\n"
    )
    rows: list[tuple[object, ...]] = []
    for name in VARIANTS:
        rows.append((name, *(cell for some in groups.values() for cell in _variant(some, name))))
    shipped = (
        cell
        for some in groups.values()
        for cell in (share(*pooled(some)), share(*pooled(some, ("medium", "strong"))), _MEASURES[2][2](some))
    )
    rows.append(("as `score` ships it", *shipped))
    header = [text for name in groups for text in (f"{name}: recall", "medium, strong", "PR-AUC")]
    yield from table(("score · 评分", *header), rows)


def _variant(results: Sequence[Result], name: str) -> tuple[object, ...]:
    as_reports = [{"report": one["variants"][name]} for one in results]
    return (
        share(*pooled(as_reports)),
        share(*pooled(as_reports, ("medium", "strong"))),
        _mean(one["report"]["pr_auc_actor_day"] for one in as_reports),
    )


def _scenarios(groups: Groups) -> Iterator[str]:
    tables = {name: scenarios_found(some) for name, some in groups.items()}
    strengths = ("weak", "medium", "strong")
    header = [f"{name}: {strength}" for name in groups for strength in strengths]
    names = sorted({scenario for rows in tables.values() for scenario in rows})
    yield from table(
        ("scenario · 场景", *header),
        (
            (scenario, *(_cell(rows.get(scenario, {}).get(name)) for rows in tables.values() for name in strengths))
            for scenario in names
        ),
    )


def _cell(pair: tuple[int, int] | None) -> str | None:
    return None if pair is None else f"{pair[0]} of {pair[1]}"


def _harmless(groups: Groups) -> Iterator[str]:
    yield "Benign twins do what an attack does, with the reason on record; look-alikes are odd ordinary days.\n"
    kinds = sorted({row["kind"] for some in groups.values() for one in some for row in one["report"]["lookalikes"]})
    rows: list[tuple[object, ...]] = [("benign twins, all", *(_share_cell(*_twins(some)) for some in groups.values()))]
    for kind in kinds:
        rows.append((f"days: {kind}", *(_share_cell(*_days_of(some, kind)) for some in groups.values())))
    yield from table(("what · 对象", *(f"{name}: with a false alert" for name in groups)), rows)


def _share_cell(found: int, of: int) -> str | None:
    return f"{found} of {of:,} ({found / of:.1%})" if of else None


def _twins(results: Sequence[Result]) -> tuple[int, int]:
    rows = [one["report"]["twins"] for one in results if one["report"]["twins"]]
    return sum(row["alerted"] for row in rows), sum(row["cases"] for row in rows)


def _days_of(results: Sequence[Result], kind: str) -> tuple[int, int]:
    rows = [row for one in results for row in one["report"]["lookalikes"] if row["kind"] == kind]
    return sum(row["alerted_days"] for row in rows), sum(row["actor_days"] for row in rows)


def _fairness(results: Sequence[Result]) -> Iterator[str]:
    yield (
        "ratio = share of the false alerts / share of the accounts. Listed: groups of at least five accounts whose 95 %"
        " interval leaves out 1 (alerts of one account come together, so this lists rather too many); all others are"
        " even as far as the numbers tell.\n"
    )
    rows = [
        (one["plan"]["seed"], key[:-1], row["group"], row["actors"], row["alerts"], row["ratio"],
         f"{row['ratio_interval'][0]:g}–{row['ratio_interval'][1]:g}", row["actors_alerted"])
        for one in results
        for key in ("departments", "sites")
        for row in one["report"][key]
        if row["actors"] >= 5 and row["group"] != UNKNOWN and not _is_even(row["ratio_interval"])
    ]  # fmt: skip
    header = ("seed", "by", "group", "accounts", "false alerts", "ratio", "95 %", "accounts alerted")
    yield from table(header, rows)


def _is_even(interval: Sequence[float]) -> bool:
    return interval[0] <= 1 <= interval[1]


def _calibration(groups: Groups) -> Iterator[str]:
    yield "Share of ordinary events at or above a risk: promised (10^(−risk/20)), seen, and seen without rules.\n"
    first = next(iter(groups.values()))[0]["report"]["calibration"]
    rows = [
        (f"≥ {step['risk']}", step["predicted"], *(cell for some in groups.values() for cell in _observed(some, index)))
        for index, step in enumerate(first)
    ]
    header = [text for name in groups for text in (name, f"{name}, the model alone")]
    yield from table(("risk · 风险", "promised · 预期", *header), rows)


def _observed(results: Sequence[Result], index: int) -> tuple[float, ...]:
    rows = [one["report"]["calibration"][index] for one in results]
    ordinary = sum(row["ordinary"] for row in rows)
    return tuple(float(f"{sum(row[key] for row in rows) / ordinary:.3g}") for key in ("events", "model_events"))


def _weeks(groups: Groups) -> Iterator[str]:
    yield (
        "Alerts really fired in each scored week, of the budget, where thresholds begin with the model's own and move"
        " each night as in the live system (`score --nightly`). * a week with a public holiday or a worked weekend."
        " Of n alerts chance alone gives ± 1/√n: 0.18 of thirty.\n"
    )
    rows = [
        (one["plan"]["seed"], round(7 * one["plan"]["budget_per_day"], 1),
         *(f"{week['ratio']:.2f}{'*' if week['holiday'] else ''}" for week in one["weeks"]))
        for some in groups.values()
        for one in some
    ]  # fmt: skip
    weeks = max(len(one["weeks"]) for some in groups.values() for one in some)
    yield from table(("seed", "budget a week", *(f"week {number}" for number in range(1, weeks + 1))), rows)
    for name, some in groups.items():
        budget = sum(7 * one["plan"]["budget_per_day"] for one in some)
        fired = [sum(one["weeks"][number]["alerts"] for one in some) for number in range(weeks)]
        ratios = ", ".join(f"{alerts / budget:.2f}" for alerts in fired)
        yield f"\n{name}, all companies together: {ratios}.\n"


def _costs(results: Sequence[Result]) -> Iterator[str]:
    yield (
        "Events (history that warms up, and scored ones) by user and system seconds of the whole command, start"
        " included. Judged: one pass of the stages, start left out."
        " Memory is the peak. Times depend on what else the machine does.\n"
    )
    yield from table(
        ("seed", "events", "score /s", "judged /s", "train /s", "score, MiB", "train, MiB", "company, s"),
        (
            (one["plan"]["seed"], f"{one['events']:,}", f"{one['speed']['score_events_per_cpu_s']:,}",
             f"{one['speed']['judged_per_cpu_s']:,}", f"{one['speed']['train_events_per_cpu_s']:,}",
             round(one["costs"]["score"]["peak_mib"]), round(one["costs"]["train"]["peak_mib"]),
             round(sum(cost["wall_s"] for cost in one["costs"].values())))
            for one in results
        ),
    )  # fmt: skip
