"""DingTalk custom robots: Markdown to `robot/send`, signed in the address.

`sign` is the base64 of HMAC-SHA256 over `MILLISECONDS\\nSECRET` under the secret, percent-encoded exactly once (encoded
twice it is the error 310000 that half the libraries make). A 200 says nothing: `errcode` in the body does. At most 20
messages a minute, then ten minutes of silence; a body of at most 20,000 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.markup import OPEN_WORDS, json_body, json_size, safe_link, without_markup, words_of
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import REFUSED, RETRY, TOO_MANY, Sent, code_in, judged_by_code
from pipeline.notifications.secret import Secret
from pipeline.notifications.text import cut, fitted

MAX_TEXT_BYTES = 16_000
_MAX_PREVIEW = 200
_BAN_S = 600.0
_CODES = {
    -1: Sent(RETRY, "server_error"),
    130101: Sent(RETRY, TOO_MANY, retry_after_s=_BAN_S),
    410100: Sent(RETRY, TOO_MANY, retry_after_s=_BAN_S),
    300001: Sent(RETRY, "unauthorized"),
    310000: Sent(RETRY, "unauthorized"),
    400101: Sent(RETRY, "unauthorized"),
    400102: Sent(RETRY, "unauthorized"),
    400106: Sent(RETRY, "not_found"),
    400105: Sent(REFUSED, "bad_request"),
    430101: Sent(REFUSED, "content_refused"),
    430102: Sent(REFUSED, "content_refused"),
    430103: Sent(REFUSED, "content_refused"),
    430104: Sent(REFUSED, "content_refused"),
}


class DingTalkSender:
    """Kind `dingtalk`."""

    def __init__(self, settings: ChannelSettings, client: HttpClient) -> None:
        self._token = settings.token or Secret("")
        self._secret = settings.secret or Secret("")
        self._language = settings.language
        self._client = client

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        answer = self._client.post(self._query(now_us), self._body(notification), now_us)
        return judged_by_code(answer, code_in(answer.body, "errcode"), _CODES)

    def _query(self, now_us: int) -> str:
        timestamp, secret = str(now_us // 1000), self._secret.reveal()
        digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
        sign = base64.b64encode(digest).decode()
        return "?" + urlencode({"access_token": self._token.reveal(), "timestamp": timestamp, "sign": sign})

    def _body(self, notification: Notification) -> bytes:
        words = words_of(notification, self._language)
        title = without_markup(words.title)
        link = f"[{OPEN_WORDS[self._language]}]({safe_link(notification.link)})" if notification.link else ""
        text = fitted(
            f"### {title}", words.lines, link, MAX_TEXT_BYTES, escape=without_markup, size=json_size, join="\n\n"
        )
        markdown = {"title": cut(title, _MAX_PREVIEW, len), "text": text}
        return json_body({"msgtype": "markdown", "markdown": markdown})
