"""Takes an event's own identifiers out of its free texts: "customer c-18823 called" → "customer [subject] called".

Place in the flow: inside `protect`, before the scanner for personal numbers. A justification or a route that was not
templated often repeats the very id that the token hides. Only whole words of at least four characters count; a
resource's id only where it holds a digit (a table's name is no identifier) and its type is not declared `ids=object`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pipeline.events import AccessEvent
from pipeline.privacy.subject_lists import SubjectLists

SHORTEST = 4


_NAMED = (
    ("actor_id", "actor"),
    ("on_behalf_of", "actor"),
    ("session_id", "session"),
    ("device_id", "device"),
    ("credential_id", "credential"),
    ("recipient_id", "recipient"),
    ("case_ref", "case"),
    ("approval_ref", "case"),
    ("subject_manifest", "manifest"),
)
"""Wire fields that hold an identifier of their event, and the word it is replaced by."""


class OwnIdentifiers:
    """The identifiers of a batch's events, each to be taken out of the texts of its own event."""

    def __init__(
        self,
        events: Sequence[AccessEvent],
        fields: Mapping[str, Sequence[Any]],
        subjects: SubjectLists,
        object_types: frozenset[str],
    ) -> None:
        self._events, self._object_types = events, object_types
        self._named = [fields[name] for name, _ in _NAMED if any(fields[name])]
        self._resources: Sequence[str] = fields["resource_id"]
        self._subjects = subjects.flat
        self._subject_rows = subjects.rows.tolist()

    def taken_out(self, texts: Sequence[str | None]) -> Sequence[str | None]:
        """The texts, one an event, with the words that are that event's own identifiers replaced by their kind."""
        present = [row for row, text in enumerate(texts) if text is not None]
        if len(present) == len(texts):
            hits = self._mentioning(cast("Sequence[str]", texts))
        else:
            hits = {row for row in present if _mentions(self._events[row], texts[row] or "", self._object_types)}
        if not hits:
            return texts
        cleaned = list(texts)
        for row in hits:
            cleaned[row] = without_own_identifiers(texts[row] or "", self._events[row], self._object_types)
        return cleaned

    def _mentioning(self, texts: Sequence[str]) -> set[int]:
        """Rows whose text holds an identifier of its event; identifier by identifier, because nearly none does."""
        hits: set[int] = set()
        for ids in self._named:
            hits.update(
                [row for row, (text, one) in enumerate(zip(texts, ids, strict=True)) if one is not None and one in text]
            )
        held = [row for row, (text, one) in enumerate(zip(texts, self._resources, strict=True)) if one in text]
        hits.update(row for row in held if _names_somebody(self._events[row], self._object_types))
        hits.update(
            [row for row, one in zip(self._subject_rows, self._subjects, strict=True) if one in texts[row]],
        )
        return hits


def without_own_identifiers(text: str, event: AccessEvent, object_types: frozenset[str]) -> str:
    """One text without its event's identifiers, longest first, so that no part of one is left over."""
    found = {identifier: kind for identifier, kind in _identifiers(event, object_types) if identifier in text}
    for identifier in sorted(found, key=len, reverse=True):
        text = without_word(text, identifier, f"[{found[identifier]}]")
    return text


def without_word(text: str, word: str, by: str) -> str:
    """Replaces `word` where it stands for itself; no regular expression, compiling one costs more than all the rest."""
    out: list[str] = []
    done, at = 0, text.find(word)
    while at >= 0:
        end = at + len(word)
        if _is_border(text[at - 1 : at]) and _is_border(text[end : end + 1]):
            out += (text[done:at], by)
            done = end
        at = text.find(word, end if done == end else at + 1)
    return "".join(out) + text[done:] if out else text


def _is_border(character: str) -> bool:
    """Whether a word may end beside this character ("" at the ends of the text)."""
    return not (character.isascii() and character.isalnum())


def _mentions(event: AccessEvent, text: str, object_types: frozenset[str]) -> bool:
    """Whether any identifier of the event occurs in the text at all; unrolled, because nearly always none does."""
    return (
        event.actor_id in text
        or (event.resource_id in text and _names_somebody(event, object_types))
        or (event.session_id is not None and event.session_id in text)
        or (event.device_id is not None and event.device_id in text)
        or (event.case_ref is not None and event.case_ref in text)
        or (event.recipient_id is not None and event.recipient_id in text)
        or (event.credential_id is not None and event.credential_id in text)
        or (event.on_behalf_of is not None and event.on_behalf_of in text)
        or (event.approval_ref is not None and event.approval_ref in text)
        or (event.subject_manifest is not None and event.subject_manifest in text)
        or (event.subject_ids is not None and any(identifier in text for identifier in event.subject_ids))
    )


def _names_somebody(event: AccessEvent, object_types: frozenset[str]) -> bool:
    """Whether its resource's id is taken out; an object's is its own text, and would be looked for in vain."""
    return event.resource_type not in object_types and _holds_digit(event.resource_id)


def _holds_digit(identifier: str) -> bool:
    return any(character.isdigit() for character in identifier)


def _identifiers(event: AccessEvent, object_types: frozenset[str]) -> Iterator[tuple[str, str]]:
    if _names_somebody(event, object_types):
        yield from _long_enough(event.resource_id, "resource")
    for name, kind in _NAMED:
        yield from _long_enough(getattr(event, name), kind)
    for identifier in event.subject_ids or ():
        yield from _long_enough(identifier, "subject")


def _long_enough(identifier: str | None, kind: str) -> Iterator[tuple[str, str]]:
    if identifier is not None and len(identifier) >= SHORTEST:
        yield identifier, kind
