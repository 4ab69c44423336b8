"""Words of the console in English and Chinese: one table from key to both, put together from the pages' own tables.

Place in the flow: asked by templates as `t("key", …)`. A page with many words has a module of its own, `words_*.py`,
which is named in `_TABLES`. Places in a text are `{0}`, `{1}`; what is put there is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from dashboards.console import (
    words_accounts,
    words_audit,
    words_boards,
    words_breach,
    words_errors,
    words_evidence,
    words_frame,
    words_health,
    words_incidents,
    words_overview,
    words_rules,
)
from pipeline.web_requests import wanted_language

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, Language]] = ("en", "zh")
TAGS: Mapping[Language, str] = {"en": "en", "zh": "zh-CN"}
"""Language tags (BCP 47) for `lang` and Content-Language."""

_TABLES: tuple[Mapping[str, tuple[str, str]], ...] = (
    words_frame.WORDS, words_accounts.WORDS, words_errors.WORDS, words_overview.WORDS, words_incidents.WORDS,
    words_breach.WORDS, words_evidence.WORDS, words_rules.WORDS, words_health.WORDS, words_boards.WORDS,
    words_audit.WORDS,
)  # fmt: skip


def _together() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for table in _TABLES:
        twice = found.keys() & table.keys()
        if twice:
            raise ValueError(f"words defined twice: {sorted(twice)}")
        found |= table
    return found


WORDS: Mapping[str, tuple[str, str]] = _together()


def said(key: str, language: Language, *values: object) -> str:
    """The text of a key with its places filled. Raises: KeyError: there is none, our own bug."""
    text = WORDS[key][LANGUAGES.index(language)]
    return text.format(*values) if values else text


def language_of(accept: str, chosen: str) -> Language:
    """The language that was chosen, else what the browser's Accept-Language wants."""
    if chosen in LANGUAGES:
        return "zh" if chosen == "zh" else "en"
    return wanted_language(accept)
