"""What a question to the log of accesses is in SQL: the view that knows it, conditions on it, their parameters.

Place in the flow: under `access_reading.py`. Statements are our own text; every value is a typed parameter that the
server puts in. A condition on time names `from_us` and `until_us`, which the reader sets window by window. The words of
`Question.text` are no condition: they never leave the process.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.audit.search import UNEXPLAINED, Question
from pipeline.events import EXPLAINED
from pipeline.same_person import has_one_of, one_of

EVENTS, BY_SUBJECT = "access_events", "subject_access"
PLACE = "topic, incarnation, partition, offset"
_MOMENT = "fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')"
FINAL = EXPLAINED[0]
"""What the stream says for good: it saw the work item. The other words may become another a day later."""


def moment(name: str) -> str:
    """A parameter of microseconds as the server's time."""
    return _MOMENT.format(name=name)


PERIOD = f"tenant_id = {{tenant:String}} AND event_time >= {moment('from_us')} AND event_time < {moment('until_us')}"
# A number in place of four columns: sets of millions of places take a third of the time and of the memory. Two places
# of one number among ten million of each: one chance in two hundred thousand.
_PLACE_DIGEST = f"sipHash64({PLACE})"
_JUDGED_LATER = f"SELECT {_PLACE_DIGEST} FROM accesstrail.access_explanations WHERE {PERIOD}"  # noqa: S608  our own text


class Conditions(NamedTuple):
    """`view` answers, where all of `conditions` hold; `given`: their parameters but for the times."""

    view: str
    conditions: list[str]
    given: dict[str, object]


def is_by_subject(question: Question) -> bool:
    """Whether the table by subject answers: it is sorted for them, but knows neither cases nor resources."""
    return bool(question.subjects) and not question.cases and not question.resources


def conditions_of(question: Question) -> Conditions:
    """A question's conditions; its tokens are all of the persons' (`person_tokens.py`)."""
    by_subject = is_by_subject(question)
    conditions, given = [PERIOD], dict[str, object](tenant=question.tenant)
    for kind, tokens in question.tokens().items():
        given[f"{kind}_tokens"] = list(tokens)
        if kind == "subject" and not by_subject:
            conditions.append(has_one_of("subject_tokens", "subject_tokens"))
        else:
            conditions.append(one_of(f"{kind}_token", f"{kind}_tokens"))
    for name, column in (("actions", "action"), ("outcomes", "outcome")):
        words = getattr(question, name)
        if words:
            conditions.append(f"toString({column}) IN {{{name}:Array(String)}}")
            given[name] = list(words)
    if question.explained:
        conditions.append(_explained(question.explained, given))
    for name in ("purpose", "resource_type"):
        if getattr(question, name):
            conditions.append(f"{name} = {{{name}:String}}")
            given[name] = getattr(question, name)
    if question.least_risk:
        conditions.append("risk >= {least_risk:UInt16}")
        given["least_risk"] = question.least_risk
    return Conditions(BY_SUBJECT if by_subject else EVENTS, conditions, given)


def _explained(words: tuple[str, ...], given: dict[str, object]) -> str:
    """What is said by now is one of the words: the verdict of a day later, else what the stream said."""
    given["explained"] = list(words)
    found = [f"{_PLACE_DIGEST} IN ({_JUDGED_LATER} AND verdict IN {{explained:Array(String)}})"]
    if FINAL in words:
        found.append(f"explained = '{FINAL}'")
    passing = [word for word in words if word not in (FINAL, UNEXPLAINED)]
    if passing:
        given["passing"] = passing
        found.append(f"(toString(explained) IN {{passing:Array(String)}} AND {_PLACE_DIGEST} NOT IN ({_JUDGED_LATER}))")
    return f"({' OR '.join(found)})"
