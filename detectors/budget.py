"""The alert budget, night by night: which thresholds the next day is decided by.

Place in the flow: outside the stream. Once a night somebody who knows the last 14 days (the scheduler from stored rows,
`accesstrail score --nightly` from a file) hands their findings in and makes what comes out the next version. Pure:
nothing is read here, no clock is asked.

What is counted is what fires after suppression, by every detector: scheduled detectors' alerts are taken off first,
then rules have what is left, then the model. The thresholds that would have kept the budget on that history are the
ones wanted; each moves towards its own by at most a fifth of its present value, so that one day, of an attacker who
floods or of a source that fails, never moves it further (on the level's scale, 20 for every tenfold of rarity, a fifth
of level 70 means 5 times as rare). The model's threshold stays between `LOWEST_THRESHOLD` and `HIGHEST_THRESHOLD`, the
rules' between `RULE_THRESHOLD` and `HIGHEST_RULE_THRESHOLD`, which no floor reaches; a present value outside counts as
the nearer end. So a model that speaks "by rules alone" comes back step by step where the budget has room. A policy that
never fires stays: only people end what people stopped. Without a single finding in the history nothing moves: from 1
event in 100 on an event is a finding, so none means that nothing was judged, not that nothing happened.

The history begins with no alert open: an alert that was open before it counts once more. Fewer days than 14 are fine.
A day on which far more fired counts as three days' budget (`most_of_a_day`): that was an attack or a fault, which the
days after it are not to pay for. Days are counted by their work (`ordinary_days`): a budget is meant for the accounts
that are active, so a holiday week, on which a third of them is, allows a third, and does not lower the threshold of the
week after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from detectors.policy import (
    HIGHEST_THRESHOLD,
    LOWEST_THRESHOLD,
    NEVER,
    RULE_THRESHOLD,
    Findings,
    Policy,
    budget_for,
    count_fired,
    level_in_words,
    lowest_rule_threshold,
    lowest_threshold,
)

HISTORY_DAYS = 14
"""Two whole weeks: no weekday counts more often than another."""
ORDINARY_DAYS = 56
"""What is ordinary is the mean of so many days before: too many for a holiday to be it, few enough to follow growth."""
STEP_PERCENT = 20
MOST_DAYS_OF_ONE = 3
"""A day counts as three days' budget at most: an attack of one day must not make the team blind for two weeks."""
SCHEDULED_MOST = 0.5
"""Of a budget for a whole input, what scheduled detectors may take: the stream's findings are not to go unseen."""
ONE_DETECTOR_SHARE = 0.2
LEAST_OF_ONE_DETECTOR = 7
"""What one scheduled detector may tell in a week without being noise: a fifth of the budget, one a day at least. On
companies that detectors were written for the busiest takes an eighth."""
HIGHEST_RULE_THRESHOLD = 10_001
"""Above every floor a rule can put under a risk."""


@dataclass(frozen=True, slots=True)
class BudgetNight:
    """What one night found and did, for the nightly report. Alerts are counts over `days`."""

    days: float
    budget_per_day: float
    fired_beside: int
    """Alerts of scheduled detectors."""
    would_fire: int
    """What the stream's detectors would have fired in these days under the policy before."""
    before: Policy
    wanted: Policy
    """The thresholds that would have kept the budget, within their bounds."""
    after: Policy
    """What holds from now on."""

    @property
    def has_moved(self) -> bool:
        """Whether a new version is to be made."""
        return self.after != self.before

    @property
    def is_limited(self) -> bool:
        """Whether the step of one night was too short to reach what is wanted."""
        return self.after != self.wanted

    def report(self) -> dict[str, Any]:
        """JSON for a nightly report; levels as people see them."""
        policies = {"before": self.before, "wanted": self.wanted, "after": self.after}
        return {
            **{name: value for name, value in asdict(self).items() if name not in policies},
            **{
                name: {"threshold": policy.threshold / 100, "rule_threshold": policy.rule_threshold / 100}
                for name, policy in policies.items()
            },
            "is_limited": self.is_limited,
            "in_words": level_in_words(self.after.threshold),
        }


def budget_night(
    findings: Findings, days: float, fired_beside: int, budget_per_day: float, current: Policy
) -> BudgetNight:
    """The policy from tonight on: `current` with thresholds moved towards the budget, by at most a fifth each.

    `findings`: of the previous 14 days or what there is of them, in log order, all at or above `LOWEST_THRESHOLD` or
    under a rule of at least `RULE_THRESHOLD`. `days`: how many `ordinary_days` these are. `fired_beside`: alerts of
    scheduled detectors in these days, each day at most `most_of_a_day`. `budget_per_day`: alerts an ordinary day that
    the team accepts, of all detectors.
    """
    wanted = after = current
    if current.threshold != NEVER and len(findings.actors) and days > 0:
        fired_at_most = max(0.0, budget_per_day * days - fired_beside)
        wanted, after = _decided(findings, fired_at_most, current, most_of_a_day(budget_per_day))
    would_fire = count_fired(findings, current)
    return BudgetNight(days, budget_per_day, fired_beside, would_fire, current, wanted, after)


def _decided(findings: Findings, fired_at_most: float, current: Policy, most: float) -> tuple[Policy, Policy]:
    """The thresholds wanted, and those that one night gets to."""
    rules = min(lowest_rule_threshold(findings, fired_at_most, current, most), HIGHEST_RULE_THRESHOLD)
    rule_threshold = _moved(current.rule_threshold, rules, RULE_THRESHOLD, HIGHEST_RULE_THRESHOLD)
    # The model has what the rules leave under the threshold they really have, not under the one they are going to have.
    model = lowest_threshold(findings, fired_at_most, replace(current, rule_threshold=rule_threshold), most)
    model = min(model, HIGHEST_THRESHOLD)
    threshold = _moved(current.threshold, model, LOWEST_THRESHOLD, HIGHEST_THRESHOLD)
    return (
        replace(current, threshold=model, rule_threshold=rules),
        replace(current, threshold=threshold, rule_threshold=rule_threshold),
    )


def most_of_a_day(budget_per_day: float) -> float:
    """What one day of the history counts at most, of the stream's alerts and of scheduled ones each."""
    return MOST_DAYS_OF_ONE * max(1.0, budget_per_day)


def most_of_one_detector(accounts: int) -> int:
    """Alerts a week that one scheduled detector may raise in a company of so many accounts, before it is noise."""
    return max(LEAST_OF_ONE_DETECTOR, round(ONE_DETECTOR_SHARE * 7 * budget_for(accounts)))


def ordinary_days(active: Sequence[float], days: int) -> float:
    """What the last `days` of these days are worth, in ordinary days.

    `active`: how many accounts were active on each of the previous days, up to `ORDINARY_DAYS`, oldest first.
    """
    total = sum(active)
    return sum(active[-days:]) * len(active) / total if total and days else 0.0


def _moved(present: int, wanted: int, lowest: int, highest: int) -> int:
    present = min(max(present, lowest), highest)
    step = present * STEP_PERCENT // 100
    return min(max(wanted, present - step, lowest), present + step, highest)
