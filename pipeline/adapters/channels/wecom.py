"""WeCom group robots: Markdown to `webhook/send`; the key in the address is all there is, nothing is signed.

A 200 says nothing: `errcode` in the body does. At most 20 messages a minute, 4,096 bytes of Markdown.
"""

from __future__ import annotations

from urllib.parse import urlencode

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.markup import OPEN_WORDS, json_body, safe_link, without_markup, words_of
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import REFUSED, RETRY, TOO_MANY, Sent, code_in, judged_by_code
from pipeline.notifications.secret import Secret
from pipeline.notifications.text import fitted

MAX_TEXT_BYTES = 4096
_CODES = {
    -1: Sent(RETRY, "server_error"),
    45009: Sent(RETRY, TOO_MANY, retry_after_s=60.0),
    45033: Sent(RETRY, TOO_MANY, retry_after_s=60.0),
    93000: Sent(RETRY, "unauthorized"),
    93004: Sent(RETRY, "unauthorized"),
    93008: Sent(RETRY, "unauthorized"),
    40008: Sent(REFUSED, "bad_request"),
    40058: Sent(REFUSED, "bad_request"),
    44004: Sent(REFUSED, "bad_request"),
    45002: Sent(REFUSED, "bad_request"),
}


class WeComSender:
    """Kind `wecom`."""

    def __init__(self, settings: ChannelSettings, client: HttpClient) -> None:
        self._token = settings.token or Secret("")
        self._language = settings.language
        self._client = client

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        query = "?" + urlencode({"key": self._token.reveal()})
        answer = self._client.post(query, self._body(notification), now_us)
        return judged_by_code(answer, code_in(answer.body, "errcode"), _CODES)

    def _body(self, notification: Notification) -> bytes:
        words = words_of(notification, self._language)
        link = f"[{OPEN_WORDS[self._language]}]({safe_link(notification.link)})" if notification.link else ""
        text = fitted(f"**{without_markup(words.title)}**", words.lines, link, MAX_TEXT_BYTES, escape=without_markup)
        return json_body({"msgtype": "markdown", "markdown": {"content": text}})
