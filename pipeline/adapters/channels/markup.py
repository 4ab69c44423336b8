"""What several channels share in dressing a message: markup taken out of foreign text, links, the word of a link.

Place in the flow: below the senders for DingTalk and WeCom, whose Markdown is a part of the usual one and describes no
way to escape. A sign that could begin markup is replaced by its full-width form: it looks alike and does nothing.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from pipeline.notifications.message import Notification, Words
from pipeline.notifications.text import plain

_SIGNS = "*_`[]<>#|~\\&"
_FULL_WIDTH = str.maketrans({sign: chr(ord(sign) + 0xFEE0) for sign in _SIGNS})
OPEN_WORDS = {"zh": "打开事件", "en": "Open the incident", "both": "打开事件 / Open the incident"}


def without_markup(text: str) -> str:
    """Foreign text that no Markdown reads as anything but text."""
    return plain(text).translate(_FULL_WIDTH)


def safe_link(link: str) -> str:
    """A link that ends where it shall inside `[…](…)` and `<…|…>`; what is percent-encoded stays so."""
    return quote(link, safe="%:/?#@!$&*+,;=-._~")


def words_of(notification: Notification, language: str) -> Words:
    """Title and lines, once more made plain: a record may have been written by another version."""
    words = notification.words(language)
    return Words(plain(words.title), tuple(filter(None, map(plain, words.lines))))


def json_size(text: str) -> int:
    """Bytes of the text inside a JSON document."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def json_body(document: object) -> bytes:
    """A request's body."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
