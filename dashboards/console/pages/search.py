"""Search: a form whose names become tokens in this process, and the accesses that answer, page by page.

Place in the flow: the form is posted, since what is typed into it may name people; what follows is an address of tokens
that may be kept and passed on. What was typed stays in the viewer's session only: names for the audit event of the
look, words of a text for the question, of which an address holds a mark that only this session can read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from dashboards.console.errors import refusal
from dashboards.console.rendering import zone_of
from dashboards.console.visit import Answer, Download, Evidence, Fields, Page, Redirect, Visit
from pipeline.audit.export import FORMATS, MOST_EXPORTED, exported
from pipeline.audit.search import TOKEN_KINDS, VERDICTS, Cursor, Question, checked, token_of
from pipeline.audit.text_search import LONGEST_TEXT
from pipeline.errors import UsageError
from pipeline.events import ACTIONS, OUTCOMES

ROWS = 50
DAY_US = 86_400_000_000
SPANS = (1, 7, 30, 90, 365, 1095)
"""Days that can be chosen; a time of one's own goes before."""
DEFAULT_SPAN = 7
_LONGEST_ID, _LONGEST_TICKET = 512, 128
_TEXTS = ("purpose", "resource_type")
_WORDS = {"action": ACTIONS, "outcome": OUTCOMES, "explained": VERDICTS}


def form_page(visit: Visit, refused: str = "") -> Page:
    """The form alone."""
    given = visit.form if refused else visit.query
    chosen = {name: given.text(name, longest=256) for name in (*_TEXTS, *_WORDS, "least_risk", "span", "from", "until")}
    chosen["span"] = chosen["span"] or str(DEFAULT_SPAN)
    # Never what was typed to name somebody: a page that is shown again must not bring it back.
    values = {"title": "search.title", "chosen": chosen, "spans": SPANS, "refused": refused, **_words(visit)}
    return Page("search.html", values, 400 if refused else 200)


def _words(visit: Visit) -> dict[str, object]:
    return {"words": _WORDS, "kinds": TOKEN_KINDS, "ticket": visit.kept.ticket, "longest_text": LONGEST_TEXT}


def ask(visit: Visit) -> Answer:
    """What was typed becomes tokens; the answer stands under an address of tokens."""
    try:
        question = _asked(visit)
    except UsageError as exc:
        return form_page(visit, refused=refusal(exc, visit.language))
    visit.kept.ticket = visit.form.text("ticket", longest=_LONGEST_TICKET)
    return Redirect(address_of(question, **_mark(visit, question)))


def _asked(visit: Visit) -> Question:
    tokens: dict[str, Any] = {}
    for kind in TOKEN_KINDS:
        typed = visit.form.text(kind, longest=_LONGEST_ID + 3)
        if typed:
            named = visit.parts.evidence.named(kind, typed)
            tokens[f"{kind}s"] = named.tokens
            if named.identifier and kind == "subject":
                visit.kept.remember(named.tokens[0], named.identifier)
    from_us, until_us = period(visit)
    words = {name: visit.form.text(name, longest=64) for name in _WORDS}
    return checked(
        Question(
            tenant=visit.parts.evidence.tenant, from_us=from_us, until_us=until_us, **tokens,
            purpose=visit.form.text("purpose", longest=256),
            resource_type=visit.form.text("resource_type", longest=256),
            actions=_one(words["action"]), outcomes=_one(words["outcome"]), explained=_one(words["explained"]),
            least_risk=round(number(visit.form.text("least_risk", "0", longest=8)) * 100),
            text=visit.form.text("text", longest=LONGEST_TEXT),
        )
    )  # fmt: skip


def _mark(visit: Visit, question: Question) -> dict[str, str]:
    """What stands in an address for the words that are looked for."""
    return {"text": visit.kept.mark_of(question.text)} if question.text else {}


def _marked(visit: Visit, fields: Fields) -> str:
    """The words behind the mark of an address. Raises: UsageError: another session, or one long ago, typed them."""
    mark = fields.text("text", longest=64)
    if mark and mark not in visit.kept.texts:
        raise UsageError(
            "the words of this search are known to the session that typed them: search again", code="text_forgotten"
        )
    return visit.kept.texts.get(mark, "")


def _one(word: str) -> tuple[str, ...]:
    return (word,) if word else ()


def number(text: str) -> float:
    """A number that was typed. Raises: UsageError."""
    try:
        found = float(text or 0)
    except ValueError:
        raise UsageError("a number is needed", code="bad_field") from None
    if not 0 <= found <= 1e9:
        raise UsageError("a number is too small or too large", code="bad_field")
    return found


def period(visit: Visit) -> tuple[int, int]:
    """From when to when: a span of days up to now, or times in the viewer's zone. Raises: UsageError."""
    span = number(visit.form.text("span", str(DEFAULT_SPAN), longest=8))
    if span not in SPANS:
        raise UsageError("there is no such period", code="bad_field")
    until_us = typed_time(visit, visit.form.text("until", longest=32)) or visit.now_us + 1
    return typed_time(visit, visit.form.text("from", longest=32)) or until_us - round(span) * DAY_US, until_us


def typed_time(visit: Visit, text: str) -> int:
    """A time that was typed, in the viewer's zone where it names none; 0 for none. Raises: UsageError."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("a time is written like 2026-11-20T08:30", code="bad_field") from None
    local = moment if moment.tzinfo else moment.replace(tzinfo=zone_of(visit.zone))
    try:
        return round(local.timestamp() * 1_000_000)
    except (OverflowError, ValueError):
        raise UsageError("there is no such time", code="bad_field") from None


# -- the question as an address


def address_of(question: Question, path: str = "/search/results", **more: str) -> str:
    """The address under which a question's answer stands: tokens, words of ours and times, never a name.

    `more`: further fields; among them `text`, the mark of the question's words, which an address cannot hold.
    """
    given = [(kind, token) for kind, tokens in question.tokens().items() for token in tokens]
    given += [(name, getattr(question, name)) for name in _TEXTS if getattr(question, name)]
    given += [
        (name, word) for name, field in (("action", "actions"), ("outcome", "outcomes"), ("explained", "explained"))
        for word in getattr(question, field)
    ]  # fmt: skip
    if question.least_risk:
        given.append(("risk", str(question.least_risk)))
    given += [("from_us", str(question.from_us)), ("until_us", str(question.until_us)), *more.items()]
    return f"{path}?{urlencode(given)}"


def question_of(visit: Visit, fields: Fields) -> Question:
    """The question of an address or of a form's hidden fields. Raises: UsageError: it is none."""
    tokens: dict[str, Any] = {}
    for kind in TOKEN_KINDS:
        given = fields.all(kind, 4)
        found = tuple(token for one in given if (token := token_of(one)))
        if len(found) != len(given):
            raise UsageError("only tokens stand in an address: use the form for names", code="bad_search")
        if found:
            tokens[f"{kind}s"] = found
    return checked(
        Question(
            tenant=visit.parts.evidence.tenant, from_us=whole(fields, "from_us"), until_us=whole(fields, "until_us"),
            **tokens, purpose=fields.text("purpose", longest=256),
            resource_type=fields.text("resource_type", longest=256),
            actions=fields.all("action", len(ACTIONS)), outcomes=fields.all("outcome", len(OUTCOMES)),
            explained=fields.all("explained", len(VERDICTS)), least_risk=whole(fields, "risk"),
            text=_marked(visit, fields),
        )
    )  # fmt: skip


def whole(fields: Fields, name: str) -> int:
    """A whole number of an address. Raises: UsageError: it is none."""
    text = fields.text(name, "0", longest=20)
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or abs(int(text)) > 2**61:
        raise UsageError("this address is no search: search again", code="bad_search")
    return int(text)


def hidden(question: Question, **more: str) -> list[tuple[str, str]]:
    """The question as a form's hidden fields; `more` as in `address_of`."""
    query = address_of(question, **more).partition("?")[2]
    return parse_qsl(query)


def fingerprint(question: Question) -> str:
    """SHA-256 of the whole question: names it in the audit event."""
    return hashlib.sha256(json.dumps(asdict(question), sort_keys=True).encode()).hexdigest()


# -- answers


def results(visit: Visit) -> Answer:
    """The accesses that answer; without a question there is the form."""
    if not visit.query.text("until_us"):
        return Redirect("/search")
    question = question_of(visit, visit.query)
    after = visit.query.text("after", longest=1000)
    page = visit.parts.evidence.found(question, ROWS, Cursor.from_text(after) if after else None)
    mark = _mark(visit, question)
    values = {
        "title": "search.title", "question": question, "rows": page.rows, "is_first": not after,
        "first": address_of(question, **mark),
        "next": address_of(question, after=page.after.text(), **mark) if page.after else "",
        "hidden": hidden(question, **mark), "formats": tuple(FORMATS), "most": MOST_EXPORTED, **_words(visit),
    }  # fmt: skip
    return Evidence(
        page=Page("search_results.html", values), look="search", rows=len(page.rows), about=_about(question),
        subject_ids=subject_ids(visit, question.subjects), case_ref=visit.kept.ticket,
        fingerprint=fingerprint(question),
    )  # fmt: skip


def _about(question: Question) -> str:
    """What was asked for, in one word: the first token, else the digest."""
    tokens: Mapping[str, tuple[str, ...]] = question.tokens()
    return next((f"{kind}:{found[0]}" for kind, found in tokens.items()), fingerprint(question))


def subject_ids(visit: Visit, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Data subjects by their own ids, as far as the viewer typed them or the directory lists them.

    For the audit event: whoever looks for themselves, or for protected people, is seen by the rules.
    """
    typed = (visit.kept.typed.get(one) or visit.parts.evidence.identities.of("subject", one) for one in tokens)
    return tuple(one for one in typed if one)


def export(visit: Visit) -> Answer:
    """The whole answer as a file, with a reason; told of with its number of rows and its digest."""
    reason = visit.form.text("reason", longest=2_000)
    if not reason:
        raise UsageError("say what the file is for", code="no_reason")
    form = visit.form.text("format", longest=10)
    if form not in FORMATS:
        raise UsageError("there is no such format", code="bad_field")
    question = question_of(visit, visit.form)
    page = visit.parts.evidence.found(question, MOST_EXPORTED, None)
    if page.after is not None:
        raise UsageError(
            f"more than {MOST_EXPORTED} accesses answer: narrow the question; more takes two people",
            code="export_large",
        )
    body = exported(page.rows, form)
    stamp = datetime.fromtimestamp(visit.now_us / 1e6, zone_of("UTC")).strftime("%Y%m%dT%H%M%SZ")
    return Evidence(
        page=Download(body, f"accesstrail-search-{stamp}.{form}", FORMATS[form]), look="export", rows=len(page.rows),
        about=_about(question), reason=reason, subject_ids=subject_ids(visit, question.subjects),
        case_ref=visit.kept.ticket, fingerprint=hashlib.sha256(body).hexdigest(),
    )  # fmt: skip
