"""Every token of the persons that a question names, asked for once, so that the question itself compares with a list.

Place in the flow: in front of questions that must be quick; others ask for them within, as `same_person.py` says. On
10 million events that costs a question about one data subject 15 ms, and lets the server choose a poor order of its
join; asked before it takes 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.adapters.reader_pool import RowQuestions
from pipeline.same_person import given

_LINKED = (
    "SELECT lower(hex(token)), lower(hex(canonical)) FROM accesstrail.token_links WHERE canonical IN "  # noqa: S608  our own text
    f"(SELECT canonical FROM accesstrail.token_links WHERE token IN ({given('tokens')}) UNION ALL {given('tokens')})"
)


def every_token(reader: RowQuestions, named: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Tokens (hex) by kind to all tokens of the same persons, sorted. Raises: Away; StoreRefused."""
    asked = sorted({token for tokens in named.values() for token in tokens})
    if not asked:
        return dict.fromkeys(named, ())
    canonical_of = {str(token): str(canonical) for token, canonical in reader.query(_LINKED, {"tokens": asked})}
    return {kind: _persons(tuple(tokens), canonical_of) for kind, tokens in named.items()}


def _persons(tokens: tuple[str, ...], canonical_of: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens, what they are canonically, and everything else that is the same."""
    persons = {*tokens, *(canonical_of[token] for token in tokens if token in canonical_of)}
    return tuple(sorted(persons | {token for token, canonical in canonical_of.items() if canonical in persons}))
