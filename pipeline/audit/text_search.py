"""Words looked for in what people wrote about an access: its justification and why it was denied.

Place in the flow: beside `search.py`. Words are compared in the process of whoever asks and never sent to the store, so
that nobody's name stands in its logs. All words must occur, in any order and anywhere, also inside longer ones (Chinese
has no blanks between words); letter case and width make no difference (Unicode NFKC and case folding). What is stored
is masked: whoever looks for a person's number or address is told so, rather than that nobody wrote it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pipeline.errors import UsageError
from pipeline.privacy.masks import mask_text

LONGEST_TEXT = 256
"""Characters that can be looked for at once."""


def words_of(text: str) -> tuple[str, ...]:
    """What must occur, folded; () for a text of blanks.

    >>> words_of("Ｎｉｇｈｔ  Batch")
    ('night', 'batch')
    """
    return tuple(_folded(text).split())


def holds(words: Sequence[str], *texts: str) -> bool:
    """Whether each of `words_of(...)` occurs in one of the texts."""
    folded = [_folded(text) for text in texts]
    return all(any(word in text for text in folded) for word in words)


def refuse_identifiers(text: str) -> None:
    """Raises: UsageError `masked_text`: it holds what every stored text has masked. Never repeats the text."""
    if mask_text(text) != text:
        raise UsageError(
            "numbers and addresses of people are masked in stored texts: look for the person as a data subject or "
            "an account, or for words around the number",
            code="masked_text",
        )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
