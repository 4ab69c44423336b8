"""Every token of the persons that a question names, asked for once, so that the question itself compares with a list.

Place in the flow: in front of questions that must be quick, of holds and of erasure; other questions ask for them
within, as `same_person.py` says. On 10 million events that costs a question about one data subject 15 ms, and lets the
server choose a poor order of its join; asked before it takes 5.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from pipeline.adapters.reader_pool import RowQuestions
from pipeline.same_person import given

Name = TypeVar("Name", bound=Hashable)
_LINKED = (
    "SELECT lower(hex(token)), lower(hex(canonical)) FROM accesstrail.token_links WHERE canonical IN "  # noqa: S608  our own text
    f"(SELECT canonical FROM accesstrail.token_links WHERE token IN ({given('tokens')}) UNION ALL {given('tokens')})"
)


def every_token(reader: RowQuestions, named: Mapping[Name, Iterable[str]]) -> dict[Name, tuple[str, ...]]:
    """Tokens (hex) by any name to all tokens of the same persons, those given first. Raises: Away; StoreRefused."""
    asked = sorted({token for tokens in named.values() for token in tokens})
    if not asked:
        return dict.fromkeys(named, ())
    canonical_of = {str(token): str(canonical) for token, canonical in reader.query(_LINKED, {"tokens": asked})}
    return {name: _persons(tuple(tokens), canonical_of) for name, tokens in named.items()}


def _persons(tokens: tuple[str, ...], canonical_of: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens, what they are canonically, and everything else that is the same."""
    persons = {*tokens, *(canonical_of[token] for token in tokens if token in canonical_of)}
    others = persons | {token for token, canonical in canonical_of.items() if canonical in persons}
    return tuple(dict.fromkeys((*tokens, *sorted(others))))
