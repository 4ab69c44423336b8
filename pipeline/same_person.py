"""Every token of the persons that some tokens name, as SQL: one under each key that signed since they were first seen.

Place in the flow: in questions about one account or data subject; tables are sorted by stored tokens, so a question
names all of them (a handful) and reads what it would read of one. Without a rotation of the key there are no links.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES

_LINKS = "accesstrail.token_links"


def same_person(tokens: str) -> str:
    """A query of one column; `tokens`: a query of the tokens that are given, one column FixedString(16)."""
    linked = f"SELECT canonical FROM {_LINKS} WHERE token IN ({tokens})"  # noqa: S608  our own text
    return (
        f"SELECT token FROM {_LINKS} WHERE canonical IN ({linked} UNION ALL {tokens}) "  # noqa: S608  our own text
        f"UNION ALL {linked} UNION ALL {tokens}"
    )


def given(name: str) -> str:
    """A query of the tokens of a parameter, an array of hexadecimal texts."""
    return f"SELECT toFixedString(unhex(arrayJoin({{{name}:Array(String)}})), {TOKEN_BYTES})"


def tokens_in(column: str, name: str) -> str:
    """Whether a token column holds a token of anybody whom a parameter's tokens (hex) name."""
    return f"{column} IN ({same_person(given(name))})"


def one_of(column: str, name: str) -> str:
    """Whether a token column holds one of a parameter's tokens (hex), which are all of the persons' already."""
    return f"{column} IN ({given(name)})"


def has_one_of(column: str, name: str) -> str:
    """The same of a column of lists of tokens."""
    return f"hasAny({column}, arrayMap(one -> toFixedString(unhex(one), {TOKEN_BYTES}), {{{name}:Array(String)}}))"


def any_of(column: str, name: str) -> str:
    """The same of a column of lists of tokens."""
    return any_of_query(column, given(name))


def any_of_query(column: str, tokens: str) -> str:
    """The same of tokens that a query gives, as `same_person` takes it."""
    return f"hasAny({column}, (SELECT groupArray(token) FROM ({same_person(tokens)})))"  # noqa: S608  our own text
