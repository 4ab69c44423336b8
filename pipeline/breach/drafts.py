"""Drafts of notices, in English and Chinese: every item the law asks for, filled where known, marked where not.

Place in the flow: made from the register and the breach, for a person to finish. A draft holds counts and kinds, never
an identifier: what people write is masked on the way in, besides contacts, which are meant to be read. A draft is not
sent by accesstrail.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from pipeline.breach.clock import Clock, Duty
from pipeline.breach.fields import FIELDS, WRITTEN_BY_PEOPLE
from pipeline.breach.model import Breach, Text
from pipeline.breach.register import Item, Law
from pipeline.errors import UsageError
from pipeline.privacy.masks import mask_text

LANGUAGES = ("en", "zh")
_LONGEST_TEXT = 4000
_CHINA = timezone(timedelta(hours=8), "UTC+8")  # a fixed offset: no daylight saving since 1991

CATEGORIES: Mapping[str, Text] = {
    "id_number": Text("identity numbers", "身份证号码"),
    "phone": Text("telephone numbers", "电话号码"),
    "address": Text("addresses", "地址"),
    "bank_card": Text("bank cards", "银行卡信息"),
    "health": Text("health information", "健康信息"),
    "order": Text("orders", "订单信息"),
    "location": Text("whereabouts", "行踪轨迹"),
    "contact": Text("contact details", "联系方式"),
    "credit": Text("credit information", "征信信息"),
}
"""Words for common codes of the directory; another code is shown as it is."""


def checked_texts(texts: Mapping[str, Text]) -> Mapping[str, Text]:
    """What people wrote, masked. Raises: UsageError: a field that is none or not theirs, or a text that is too long."""
    unknown = sorted(set(texts) - WRITTEN_BY_PEOPLE)
    if unknown:
        raise UsageError(
            f"no field for a person is called {', '.join(unknown)}: {', '.join(sorted(WRITTEN_BY_PEOPLE))}"
        )
    if any(len(one) > _LONGEST_TEXT for text in texts.values() for one in (text.en, text.zh)):
        raise UsageError(f"a text of a notice has at most {_LONGEST_TEXT:,} characters")
    return {
        name: text if FIELDS[name].is_contact else Text(mask_text(text.en), mask_text(text.zh))
        for name, text in texts.items()
    }


def draft(duty: Duty, clock: Clock, breach: Breach, language: str) -> str:
    """A notice for one recipient, Markdown. Raises: UsageError: as `checked_texts`, or the language is neither."""
    if language not in LANGUAGES:
        raise UsageError("a draft is in en or zh")
    known = {**_counted(duty, clock, breach), **checked_texts(breach.texts)}
    lines = _head(duty.law, language)
    open_fields = 0
    for number, item in enumerate(duty.law.content, start=1):
        body, left = _item(item, known, language)
        open_fields += left
        unread = (
            ""
            if item.confirmed
            else (" （条目表述未经核对）" if language == "zh" else " (wording of this item unconfirmed)")
        )
        lines += [f"## {number}. {item.text.in_language(language)}{unread}", "", *body, ""]
    return "\n".join([*lines, *_foot(duty.law, open_fields, language)]) + "\n"


def _head(law: Law, language: str) -> list[str]:
    article = f"{law.instrument.in_language(language)}, Art. {law.article}"
    if language == "zh":
        title = "告知书（草稿）" if law.audience != "authority" else "报告（草稿）"
        lines = [f"# {title}", "", f"致：{law.recipient.zh}", "", f"依据：{law.instrument.zh}第 {law.article} 条", ""]
        return lines if law.confirmed else [*lines, "**依据未经核对，使用前请核实。**", ""]
    title = "Notice (draft)" if law.audience != "authority" else "Report (draft)"
    lines = [f"# {title}", "", f"To: {law.recipient.en}", "", f"Under: {article}", ""]
    return lines if law.confirmed else [*lines, "**The legal basis is unconfirmed: verify it before use.**", ""]


def _foot(law: Law, open_fields: int, language: str) -> list[str]:
    if language == "zh":
        return ["---", f"待填写：{open_fields} 项。条文登记来源：{law.source}。本草稿不构成法律意见。"]
    return ["---", f"To be filled in: {open_fields}. Source of the entry: {law.source}. A draft, no legal advice."]


def _item(item: Item, known: Mapping[str, Text], language: str) -> tuple[list[str], int]:
    """Its lines, and how many of them a person must fill in; a text in the other language only counts as missing."""
    lines, left = [], 0
    for name in item.fields:
        text = known[name].in_language(language).strip() if name in known else ""
        if not text:
            left += 1
            text = _blank(name, language)
        colon = "：" if language == "zh" else ": "
        # Set in, so that a text of several lines stays one entry and cannot pose as a heading.
        lines.append(f"- {FIELDS[name].label.in_language(language)}{colon}" + "\n  ".join(text.splitlines()))
    return lines, left


def _blank(name: str, language: str) -> str:
    hint = FIELDS[name].hint
    if language == "zh":
        return f"【待填写：{hint.zh if hint else '尚无数据'}】"
    return f"[[TO BE FILLED IN: {hint.en if hint else 'not known yet'}]]"


# -- what accesstrail knows


def _counted(duty: Duty, clock: Clock, breach: Breach) -> dict[str, Text]:
    counts = clock.counts
    found = {
        "discovered_at": _moment(breach.discovery.at_us),
        "subjects": Text(
            f"{counts.subjects_all:,}; of them with sensitive information {counts.subjects_sensitive:,}, minors "
            f"{counts.minors:,}",
            f"{counts.subjects_all:,} 人；其中涉及敏感个人信息 {counts.subjects_sensitive:,} 人，未成年人 {counts.minors:,} 人",
        ),
        "subjects_eu": Text(f"{counts.subjects_eu:,}", f"{counts.subjects_eu:,} 人"),
        "records": Text(f"{counts.records:,}", f"{counts.records:,} 条"),
        "grade": _grades(clock),
    }
    if counts.categories:
        words = [CATEGORIES.get(code, Text(code, code)) for code in sorted(counts.categories)]
        found["categories"] = Text(", ".join(one.en for one in words), "、".join(one.zh for one in words))
    late = duty.deadline_us is not None and not duty.own_target and clock.at_us > duty.deadline_us
    if not late:
        found["delay_reason"] = Text("not late", "未迟报")
    return found


def _grades(clock: Clock) -> Text:
    """By counts and what was stated; a person may grade higher for another reason."""
    reached = [(scale, grade) for scale, grade in clock.grades if grade is not None]
    if not reached:
        return Text(
            "below the lowest grade by counts; other criteria are for a person",
            "按人数未达最低级别；其他标准由人工判定",
        )
    unread = [("", "") if grade.confirmed else (" (unconfirmed)", "（未经核对）") for _, grade in reached]
    return Text(
        "; ".join(
            f"{grade.text.en}: {scale.text.en}{mark}" for (scale, grade), (mark, _) in zip(reached, unread, strict=True)
        ),
        "；".join(
            f"{grade.text.zh}：{scale.text.zh}{mark}" for (scale, grade), (_, mark) in zip(reached, unread, strict=True)
        ),
    )


def _moment(at_us: int) -> Text:
    moment = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    return Text(
        moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        moment.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S") + "（北京时间）",
    )
