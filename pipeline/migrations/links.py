"""Who is the same person across rotations of the token key: links, what looks them up quickly, views that use it.

`token_links` is what was told. `token_canon` holds the same in memory, made anew each minute and put in place in one
step; a token that has no link yet stands for itself, which is right of everybody who has one token only. While no key
was rotated both are empty, and the views cost what the plain ones do: the server drops what a constant excludes.
Sort keys hold stored tokens: whoever asks for one person filters by `stored_…_token`, by all tokens of that person.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES
from pipeline.link_columns import TOKEN_LINK_COLUMNS
from pipeline.migrations.schema import DEFINER, PUBLIC, RAW, Statement, sealed, table, view

_CANON = f"{RAW}.token_canon"
_NOBODY = f"toFixedString('', {TOKEN_BYTES})"
_NO_LINKS = f"(SELECT count() FROM {_CANON}) = 0"
_STORED_AT = "stored_at DateTime64(3, 'UTC') DEFAULT now64(3)"
_EVENT_TOKENS = (
    "actor_token", "on_behalf_of_token", "credential_token", "device_token", "recipient_token", "resource_token",
)  # fmt: skip


def _linked(token: str) -> str:
    return f"ifNull(nullIf(joinGet('{_CANON}', 'canonical', {token}), {_NOBODY}), {token})"


def _person(column: str) -> str:
    return f"if({_NO_LINKS}, {column}, {_linked(column)}) AS {column}"


def _persons(column: str) -> str:
    return f"if({_NO_LINKS}, {column}, arrayMap(one -> {_linked('one')}, {column})) AS {column}"


def link_steps() -> list[tuple[str, Statement]]:
    """Tables, what fills the one in memory, and the views by person."""
    events = ", ".join((*(_person(name) for name in _EVENT_TOKENS), _persons("subject_tokens")))
    subjects = ", ".join(_person(name) for name in ("subject_token", "actor_token"))
    links = f"SELECT {', '.join(spec.name for spec in TOKEN_LINK_COLUMNS)} FROM {RAW}.token_links"
    return [
        (
            "token_links",
            table(
                "token_links", TOKEN_LINK_COLUMNS, engine="ReplacingMergeTree", order_by="token, tenant_id, kind",
                extra=(_STORED_AT, "INDEX canonical_bloom canonical TYPE bloom_filter(0.01) GRANULARITY 1"),
            ),
        ),
        (
            "token_canon",
            f"CREATE TABLE IF NOT EXISTS {_CANON} (token FixedString({TOKEN_BYTES}), "
            f"canonical FixedString({TOKEN_BYTES})) ENGINE = Join(ANY, LEFT, token)",
        ),
        (
            "token_canon fill",
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {RAW}.token_canon_fill REFRESH EVERY 1 MINUTE TO {_CANON}\n"
            f"DEFINER = {DEFINER} SQL SECURITY DEFINER\nAS SELECT token, canonical FROM {RAW}.token_links",
        ),
        ("view token_links", view("token_links", links)),
        ("view person_events", view("person_events", _by_person("access_events", events, "actor_token"))),
        ("view person_days", view("person_days", _of_actor("risk_actor_1d"))),
        ("view person_features", view("person_features", _of_actor("features"))),
        ("view person_accesses", view("person_accesses", _by_person("subject_access", subjects, "subject_token"))),
    ]  # fmt: skip


def _of_actor(source: str) -> str:
    return f"SELECT * REPLACE ({_person('actor_token')})\nFROM {PUBLIC}.{source}"


def _by_person(source: str, replaced: str, sorted_by: str) -> str:
    """The visible rows with canonical tokens; beside them the stored token that the table is sorted by."""
    return (
        f"SELECT * REPLACE ({replaced})\nFROM (SELECT *, {sorted_by} AS stored_{sorted_by} FROM (\n{sealed(source)}\n))"
    )
