"""What a message quotes may be an attack: it reaches people as text, fits the channel, and does nothing there."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.adapters.channels.registry import sender_of
from pipeline.notifications.message import MAX_LINE, MAX_LINES, MAX_TITLE, Notification, checked
from tests.channel_settings import KINDS, NOTIFICATION, sent_text, settings_of
from tests.fake_channels import START_US, FakeChannel, channel

BY_PEOPLE = [kind for kind in KINDS if kind != "webhook"]
"""A webhook's receiver gets the record as it is, as data."""
HOSTILE = [
    "[click here](http://evil.test/a)",
    "![](http://evil.test/pixel.png)",
    '<script>alert(1)</script><img src="http://evil.test">',
    "<!channel> <!here> <@U012AB3CD> <http://evil.test|your bank>",
    '<at user_id="all">everyone</at> @all @everyone',
    '<font color="warning">no</font> <@all>',
    "x\r\nBcc: victim@evil.test\r\nSubject: paid\r\n\r\nbody",
    "x\r\n.\r\nQUIT\r\nMAIL FROM:<evil@evil.test>",
    "*bold* _it_ ~gone~ `code` ```block```\n# heading\n> quote\n---\n| a | b |",
    "gift\u202egnp.exe\u202c \u2066hidden\u2069 \u200b\ufeff",
    "\x00\x07\x1b[31mred\x1b[0m\x85\u2028\u2029",
    "مرحبا بالعالم שלום 你好 👨\u200d👩\u200d👧\u200d👦 é e\u0301",
    "A & B &lt; C \\[d](e) \\\\",
]
MARKUP = re.compile(r"[*_`\[\]<>#|~\\&]")


def hostile(text: str) -> Notification:
    """Foreign text wherever foreign text may stand."""
    return replace(
        NOTIFICATION,
        title_en=f"Incident {text}"[:MAX_TITLE],
        title_zh=f"事件 {text}"[:MAX_TITLE],
        lines_en=(text, f"Detectors: {text}."),
        lines_zh=(text, f"检测器：{text}。"),
    )


def received(kind: str, one: Notification, folder: Path) -> tuple[str, FakeChannel]:
    with channel(kind) as fake:
        sent = sender_of(settings_of(kind, folder, fake.port)).send(one, 1, START_US)
    assert sent.outcome == "delivered"
    assert fake.refusals == []
    return sent_text(kind, fake), fake


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", BY_PEOPLE)
def test_no_control_no_turned_text_and_no_link_but_ours(kind: str, text: str, tmp_path: Path) -> None:
    shown, _ = received(kind, hostile(text), tmp_path)
    unseen = {one for one in shown if unicodedata.category(one) in ("Cc", "Cf") and one not in "\n\u200d"}
    assert unseen == set()
    assert re.findall(r"\w+://[\w.]+", shown.replace(NOTIFICATION.link, "")) == []


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["dingtalk", "wecom"])
def test_markdown_of_others_has_no_signs_of_markup(kind: str, text: str, tmp_path: Path) -> None:
    shown, _ = received(kind, hostile(text), tmp_path)
    head, *lines, link = [line for line in shown.split("\n") if line]
    title = head.removeprefix("### ") if kind == "dingtalk" else head.removeprefix("**").removesuffix("**")
    assert [line for line in (title, *lines) if MARKUP.search(line)] == []
    assert link == f"[打开事件 / Open the incident]({NOTIFICATION.link})"


@pytest.mark.parametrize("text", HOSTILE)
def test_slack_has_angle_brackets_of_ours_alone(text: str, tmp_path: Path) -> None:
    shown, fake = received("slack", hostile(text), tmp_path)
    *lines, link = shown.split("\n")
    assert not re.search(r"[<>]|&(?!(amp|lt|gt);)", "".join(lines))
    assert link == f"<{NOTIFICATION.link}|打开事件 / Open the incident>"
    assert fake.requests[0].document["unfurl_links"] is False


@pytest.mark.parametrize("text", HOSTILE)
def test_mail_has_the_headers_and_recipients_of_the_settings(text: str, tmp_path: Path) -> None:
    _, fake = received("smtp", hostile(text), tmp_path)
    (mail,) = fake.mails
    assert sorted(mail.keys()) == sorted([
        "From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "X-Accesstrail-Id",
        "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    ])  # fmt: skip
    assert mail["To"] == "oncall@company.test"
    assert mail.get_content_type() == "text/plain"


@pytest.mark.parametrize("text", HOSTILE)
def test_feishu_has_plain_parts_and_one_link(text: str, tmp_path: Path) -> None:
    _, fake = received("feishu", hostile(text), tmp_path)
    for post in fake.requests[0].document["content"]["post"].values():
        parts = [part for paragraph in post["content"] for part in paragraph]
        assert [part["tag"] for part in parts] == ["text"] * (len(parts) - 1) + ["a"]
        assert parts[-1]["href"] == NOTIFICATION.link


@pytest.mark.parametrize("sign", ["x", "*", "\\", '"', "&", "<", "客", "😀", "👨\u200d👩\u200d👧", "e\u0301", "\u202e"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_message_fits_every_channel_and_keeps_its_link(kind: str, sign: str, tmp_path: Path) -> None:
    def filled(length: int) -> str:
        return (sign * length)[:length]

    longest = replace(
        NOTIFICATION,
        title_en=filled(MAX_TITLE),
        title_zh=filled(MAX_TITLE),
        lines_en=(filled(MAX_LINE),) * (MAX_LINES // 8),
        lines_zh=(filled(MAX_LINE),) * (MAX_LINES // 8),
        link="https://accesstrail.company.test/" + "i" * 460,
    )
    shown, fake = received(kind, checked(longest), tmp_path)
    sent = shown if kind == "smtp" else fake.requests[0].body.decode()
    assert longest.link in sent
    assert "\ufffd" not in shown


def test_a_link_cannot_end_before_its_end(tmp_path: Path) -> None:
    link = "https://accesstrail.company.test/incidents/a)b>c|d[e]?x=(1)&y=%20#f"
    safe = "https://accesstrail.company.test/incidents/a%29b%3Ec%7Cd%5Be%5D?x=%281%29&y=%20#f"
    for kind, tail in (
        ("dingtalk", f"]({safe})"),
        ("wecom", f"]({safe})"),
        ("slack", safe.replace("&", "&amp;") + "|"),
    ):
        shown, _ = received(kind, replace(NOTIFICATION, link=link), tmp_path)
        assert tail in shown


def test_without_an_incident_there_is_no_link(tmp_path: Path) -> None:
    for kind in BY_PEOPLE:
        shown, fake = received(kind, replace(NOTIFICATION, link="", incident_id="", action="alarm"), tmp_path)
        assert "Open the incident" not in shown
        assert all(b"href" not in request.body for request in fake.requests)
