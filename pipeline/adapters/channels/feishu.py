"""Feishu and Lark custom bots: a post (rich text of plain parts), signed in the body.

`sign` is the base64 of HMAC-SHA256 over nothing under the key `SECONDS\\nSECRET`: the other way round than DingTalk. A
200 says nothing: `code` in the body does. A body of at most 20 KB; text parts of a post know no markup and no mention.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.markup import OPEN_WORDS, json_body, json_size, safe_link, words_of
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import REFUSED, RETRY, TOO_MANY, Sent, code_in, judged_by_code
from pipeline.notifications.secret import Secret
from pipeline.notifications.text import fitted

MAX_TEXT_BYTES = 6_000
"""A language; two of them, with a part for every line, stay below 20 KB."""
_LOCALES = {"zh": "zh_cn", "en": "en_us"}
_CODES = {
    9499: Sent(REFUSED, "bad_request"),
    11232: Sent(RETRY, TOO_MANY, retry_after_s=60.0),
    19001: Sent(RETRY, "unauthorized"),
    19002: Sent(REFUSED, "bad_request"),
    19007: Sent(RETRY, "unauthorized"),
    19021: Sent(RETRY, "unauthorized"),
    19022: Sent(RETRY, "unauthorized"),
    19024: Sent(RETRY, "unauthorized"),
}


class FeishuSender:
    """Kind `feishu`."""

    def __init__(self, settings: ChannelSettings, client: HttpClient) -> None:
        self._token = settings.token or Secret("")
        self._secret = settings.secret or Secret("")
        self._language = settings.language
        self._client = client

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        answer = self._client.post(f"/{self._token.reveal()}", self._body(notification, now_us), now_us)
        return judged_by_code(answer, code_in(answer.body, "code", "StatusCode"), _CODES)

    def _body(self, notification: Notification, now_us: int) -> bytes:
        timestamp = str(now_us // 1_000_000)
        key = f"{timestamp}\n{self._secret.reveal()}".encode()
        sign = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
        languages = tuple(_LOCALES) if self._language == "both" else (self._language,)
        post = {_LOCALES[language]: _post(notification, language) for language in languages}
        return json_body({"timestamp": timestamp, "sign": sign, "msg_type": "post", "content": {"post": post}})


def _post(notification: Notification, language: str) -> Mapping[str, Any]:
    words = words_of(notification, language)
    text = fitted("", words.lines, "", MAX_TEXT_BYTES, escape=str, size=_size)
    paragraphs: list[list[Mapping[str, str]]] = [[{"tag": "text", "text": line}] for line in text.split("\n") if line]
    if notification.link:
        paragraphs.append([{"tag": "a", "text": OPEN_WORDS[language], "href": safe_link(notification.link)}])
    return {"title": words.title, "content": paragraphs}


def _size(text: str) -> int:
    """With the part that every line becomes."""
    return json_size(text) + 32 * (text.count("\n") + 1)
