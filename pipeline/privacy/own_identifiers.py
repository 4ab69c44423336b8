"""Takes an event's own identifiers out of its free texts: "customer c-18823 called" → "customer [subject] called".

Place in the flow: inside `protect`, before the scanner for personal numbers. A justification or a route that was not
templated often repeats the very id that the token hides. Only whole words of at least four characters count; a
resource's id only where it holds a digit (a table's name is no identifier) and its type is not declared `ids=object`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.events import AccessEvent

SHORTEST = 4


def texts_without_own_identifiers(
    texts: Sequence[str | None], events: Sequence[AccessEvent], object_types: frozenset[str]
) -> Sequence[str | None]:
    """The texts, one an event, with the words that are that event's own identifiers replaced by their kind."""
    hits = [row for row, text in enumerate(texts) if text is not None and _mentions(events[row], text)]
    if not hits:
        return texts
    cleaned = list(texts)
    for row in hits:
        cleaned[row] = without_own_identifiers(texts[row] or "", events[row], object_types)
    return cleaned


def without_own_identifiers(text: str, event: AccessEvent, object_types: frozenset[str]) -> str:
    """One text without its event's identifiers, longest first, so that no part of one is left over."""
    found = {identifier: kind for identifier, kind in _identifiers(event, object_types) if identifier in text}
    for identifier in sorted(found, key=len, reverse=True):
        text = _replace_word(text, identifier, f"[{found[identifier]}]")
    return text


def _replace_word(text: str, word: str, by: str) -> str:
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


def _mentions(event: AccessEvent, text: str) -> bool:
    """Whether any identifier of the event occurs in the text at all; unrolled, because nearly always none does."""
    return (
        event.actor_id in text
        or event.resource_id in text
        or (event.session_id is not None and event.session_id in text)
        or (event.device_id is not None and event.device_id in text)
        or (event.case_ref is not None and event.case_ref in text)
        or (event.recipient_id is not None and event.recipient_id in text)
        or (event.credential_id is not None and event.credential_id in text)
        or (event.on_behalf_of is not None and event.on_behalf_of in text)
        or (event.approval_ref is not None and event.approval_ref in text)
        or (event.subject_manifest is not None and event.subject_manifest in text)
        or (event.subject_ids is not None and _any_in(event.subject_ids, text))
    )


def _any_in(identifiers: Sequence[str], text: str) -> bool:
    if len(identifiers) == 1:
        return identifiers[0] in text
    return any(identifier in text for identifier in identifiers)


def _identifiers(event: AccessEvent, object_types: frozenset[str]) -> Iterator[tuple[str, str]]:
    named = (
        (event.actor_id, "actor"),
        (event.on_behalf_of, "actor"),
        (event.session_id, "session"),
        (event.device_id, "device"),
        (event.credential_id, "credential"),
        (event.recipient_id, "recipient"),
        (event.case_ref, "case"),
        (event.approval_ref, "case"),
        (event.subject_manifest, "manifest"),
    )
    if event.resource_type not in object_types and any(character.isdigit() for character in event.resource_id):
        yield from _long_enough(event.resource_id, "resource")
    for identifier, kind in named:
        yield from _long_enough(identifier, kind)
    for identifier in event.subject_ids or ():
        yield from _long_enough(identifier, "subject")


def _long_enough(identifier: str | None, kind: str) -> Iterator[tuple[str, str]]:
    if identifier is not None and len(identifier) >= SHORTEST:
        yield identifier, kind
