"""Slack incoming webhooks: mrkdwn; the address holds the token, nothing is signed.

Slack asks to escape `&`, `<` and `>` and nothing else: links, mentions of people and of the whole channel are all
written between angle brackets. Previews of links are off, so that nothing is fetched. A confirmation is 200 with `ok`.
"""

from __future__ import annotations

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.markup import OPEN_WORDS, json_body, safe_link, words_of
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import DELIVERED, RETRY, Sent, judged
from pipeline.notifications.secret import Secret
from pipeline.notifications.text import fitted

MAX_TEXT = 4000
"""Characters; more is split or cut by Slack."""


class SlackSender:
    """Kind `slack`."""

    def __init__(self, settings: ChannelSettings, client: HttpClient) -> None:
        self._token = settings.token or Secret("")
        self._language = settings.language
        self._client = client

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        answer = self._client.post(f"/{self._token.reveal()}", self._body(notification), now_us)
        sent = judged(answer)
        if sent.outcome == DELIVERED and answer.body.strip() != b"ok":
            return Sent(RETRY, answer.failure or "unknown_answer", answer.status)
        return sent

    def _body(self, notification: Notification) -> bytes:
        words = words_of(notification, self._language)
        target = escaped(safe_link(notification.link))
        link = f"<{target}|{OPEN_WORDS[self._language]}>" if notification.link else ""
        text = fitted(f"*{escaped(words.title)}*", words.lines, link, MAX_TEXT, escape=escaped, size=len)
        return json_body({"text": text, "mrkdwn": True, "unfurl_links": False, "unfurl_media": False})


def escaped(text: str) -> str:
    """Text as Slack wants it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
