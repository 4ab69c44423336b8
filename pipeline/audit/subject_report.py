"""Who looked at my data: the report that a data subject is entitled to, in Chinese or English.

Place in the flow: made by `accesstrail subject-report` and the console's page from evidence rows, after the count of
these was compared with the table by subject. What it says follows PIPL art. 44, 45, 50 and GDPR art. 15: when, what
for, kinds of data, by which department or partner, handed to whom, abroad or not, how much, how long records are kept.
It names no employee (CJEU C-579/21) unless that was granted, and nobody else whose data the same access touched.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone

LANGUAGES = ("zh", "en")
_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectAccess:
    """One access as its subject may see it. `partner`: the organisation where it was not our own people.

    `others`: how many more people the same access touched. `actor`: token, only where it was granted.
    """

    event_us: int
    action: str
    outcome: str
    purpose: str
    legal_basis: str
    department: str
    partner: str
    channel: str
    categories: Sequence[str]
    recipient: str
    country: str
    records: int
    others: int
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordedReport:
    """The report in one language, in the parts that a file or a page is put together from; all of it plain text.

    `facts`, `totals`: name and value. `rows`: a cell for each word of `head`; `nothing`: what stands in their place.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    totals_title: str
    totals: Sequence[tuple[str, str]]
    list_title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    nothing: str
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectReport:
    """The whole report. `retention_days`: by class; `sources`: what reports to us, whatever of it touched the subject.

    `unlisted`: accesses in the period that count more people than they list.
    """

    from_us: int
    until_us: int
    made_us: int
    case_ref: str
    accesses: Sequence[SubjectAccess]
    unlisted: int
    sources: Sequence[str]
    retention_days: Mapping[str, int]
    provision_days: int

    def totals(self) -> dict[str, object]:
        """Sums over all accesses."""
        rows = self.accesses
        return {
            "accesses": len(rows),
            "denied": sum(one.outcome == "denied" for one in rows),
            "abroad": sum(_is_abroad(one) for one in rows),
            "to_partners_or_others": sum(bool(one.partner or _is_handed_on(one)) for one in rows),
            "purposes": dict(Counter(one.purpose or "-" for one in rows).most_common()),
            "departments": dict(Counter(one.department or "-" for one in rows if not one.partner).most_common()),
            "partners": dict(Counter(one.partner for one in rows if one.partner).most_common()),
            "categories": dict(Counter(name for one in rows for name in one.categories).most_common()),
        }

    def document(self) -> dict[str, object]:
        """Plain values; times ISO 8601 in UTC."""
        rows = []
        for one in self.accesses:
            row = asdict(one) | {"categories": list(one.categories), "time": _utc(one.event_us)}
            del row["event_us"]
            if not one.actor:
                del row["actor"]
            rows.append(row)
        return {
            "from": _utc(self.from_us), "to": _utc(self.until_us), "made_at": _utc(self.made_us),
            "case": self.case_ref or None, "totals": self.totals(), "accesses": rows,
            "accesses_that_count_more_people_than_they_list": self.unlisted, "sources": list(self.sources),
            "retention_days": dict(self.retention_days), "provision_days": self.provision_days,
        }  # fmt: skip

    def json(self) -> str:
        """The document as a file."""
        return json.dumps(self.document(), ensure_ascii=False, indent=2) + "\n"

    def worded(self, language: str) -> WordedReport:
        """The report in words, local time UTC+8 and UTC."""
        words, place = _WORDS[language], 0 if language == "zh" else 1
        has_actors = any(one.actor for one in self.accesses)
        head = words["head"] + (f" | {words['actor']}" if has_actors else "")
        return WordedReport(
            title=words["title"], facts=_facts(self, words), totals_title=words["totals"],
            totals=_totals(self.totals(), words), list_title=words["list"], head=head.split(" | "),
            rows=[_cells(one, place, has_actors=has_actors) for one in self.accesses], nothing=words["nothing"],
            remarks=_remarks(self, words),
        )  # fmt: skip

    def text(self, language: str) -> str:
        """Markdown for a person."""
        return _markdown(self.worded(language))


def _is_handed_on(one: SubjectAccess) -> bool:
    return one.recipient in ("partner", "external", "public", "regulator")


def _is_abroad(one: SubjectAccess) -> bool:
    return one.country not in ("", "CN")


def _utc(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _local(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")


ACTIONS: Mapping[str, tuple[str, str]] = {
    "read": ("查看", "looked at"), "search": ("检索", "found in a search"), "list": ("列表查看", "seen in a list"),
    "create": ("新建", "entered"), "update": ("修改", "changed"), "delete": ("删除", "deleted"),
    "export": ("导出", "exported"), "download": ("下载", "downloaded"), "share": ("提供", "shared"),
    "print": ("打印", "printed"), "unmask": ("查看明文", "shown in clear"), "decrypt": ("解密", "decrypted"),
    "import": ("导入", "imported"), "login": ("登录", "logged in"), "grant": ("授权", "rights granted"),
    "policy_change": ("策略变更", "policy changed"), "audit_query": ("审计查询", "looked up by an auditor"),
    "audit_export": ("审计导出", "exported by an auditor"), "log_control": ("日志管理", "log management"),
}  # fmt: skip
_OUTCOMES = {"success": ("成功", "done"), "denied": ("被拒绝", "refused"), "error": ("出错", "failed")}
_RECIPIENTS = {
    "": ("—", "—"), "internal": ("内部", "internal"), "partner": ("合作方", "partner"),
    "external": ("外部", "outsider"),
    "public": ("公开", "public"), "regulator": ("监管机构", "regulator"), "subject": ("本人", "the subject"),
}  # fmt: skip
_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Who accessed your personal data", "period": "Period", "made": "Made", "case": "Your request",
        "totals": "In numbers", "accesses": "Accesses", "denied": "of these refused", "abroad": "of these abroad",
        "handed": "by or to partners and others", "purposes": "Purposes", "departments": "Departments",
        "partners": "Partners", "categories": "Kinds of data", "list": "Each access",
        "head": "Time (UTC+8) | Time (UTC) | What | Result | Purpose | Kinds of data | By | Handed to | Country | "
        "Records",
        "actor": "Account", "nothing": "No access is on record in this period.",
        "others": "Names of employees and data of other people are left out.",
        "unlisted": "{n} bulk accesses in this period count more people than they list; whether you are among them "
        "cannot be told from the log.",
        "sources": "Systems that report to this log: {names}. What other systems did is not covered.",
        "kept": "Records are kept {days} days ({class}); of what was handed to others {provision} days. Older ones are "
        "deleted and not in this report.",
    },
    "zh": {
        "title": "您的个人信息访问记录", "period": "期间", "made": "生成时间", "case": "您的请求",
        "totals": "统计", "accesses": "访问次数", "denied": "其中被拒绝", "abroad": "其中涉及境外",
        "handed": "由合作方访问或向他人提供", "purposes": "处理目的", "departments": "部门", "partners": "合作方",
        "categories": "信息种类", "list": "逐次记录",
        "head": "时间（北京） | 时间（UTC） | 操作 | 结果 | 目的 | 信息种类 | 访问方 | 提供给 | 国家/地区 | 记录数",
        "actor": "账户", "nothing": "该期间内没有访问记录。", "others": "不含员工姓名及他人信息。",
        "unlisted": "该期间有 {n} 次批量访问所涉人数多于其列明的人数，日志无法判断您是否在内。",
        "sources": "向本日志报送的系统：{names}。其他系统的访问不在本报告范围内。",
        "kept": "记录保存 {days} 天（{class}）；对外提供的记录保存 {provision} 天。更早的记录已删除，不在本报告内。",
    },
}  # fmt: skip


def _plain(text: str) -> str:
    """A text of others in a table's cell."""
    return "".join(one if one.isprintable() else " " for one in text).replace("|", "/") or "—"


def _facts(report: SubjectReport, words: Mapping[str, str]) -> list[tuple[str, str]]:
    found = [
        (words["period"], f"{_utc(report.from_us)} – {_utc(report.until_us)}"), (words["made"], _utc(report.made_us))
    ]  # fmt: skip
    return [*found, (words["case"], _plain(report.case_ref))] if report.case_ref else found


def _totals(totals: Mapping[str, object], words: Mapping[str, str]) -> list[tuple[str, str]]:
    numbers = {"accesses": "accesses", "denied": "denied", "abroad": "abroad", "handed": "to_partners_or_others"}
    found = [(words[name], str(totals[key])) for name, key in numbers.items()]
    for name in ("purposes", "departments", "partners", "categories"):
        counts = totals[name]
        assert isinstance(counts, dict)  # noqa: S101  as `totals` makes it
        if counts:
            found.append((words[name], ", ".join(f"{_plain(key)} ({count})" for key, count in counts.items())))
    return found


def _remarks(report: SubjectReport, words: Mapping[str, str]) -> list[str]:
    found = [words["others"]]
    if report.unlisted:
        found.append(words["unlisted"].format(n=report.unlisted))
    found.append(words["sources"].format(names=", ".join(map(_plain, report.sources)) or "—"))
    for name, days in report.retention_days.items():
        found.append(words["kept"].format(**{"days": days, "class": name, "provision": report.provision_days}))
    return found


def _cells(one: SubjectAccess, place: int, *, has_actors: bool) -> list[str]:
    return [
        _local(one.event_us), _utc(one.event_us), ACTIONS.get(one.action, (one.action,) * 2)[place],
        _OUTCOMES.get(one.outcome, (one.outcome,) * 2)[place], _plain(one.purpose), _plain(", ".join(one.categories)),
        _plain(one.partner or one.department), _RECIPIENTS.get(one.recipient, (one.recipient,) * 2)[place],
        _plain(one.country), "—" if one.records < 0 else str(one.records), *([_plain(one.actor)] if has_actors else []),
    ]  # fmt: skip


def _markdown(report: WordedReport) -> str:
    lines = [f"# {report.title}", ""]
    lines += [f"- {name}: {value}" for name, value in report.facts]
    lines += ["", f"## {report.totals_title}", ""]
    lines += [f"- {name}: {value}" for name, value in report.totals]
    lines += ["", f"## {report.list_title}", ""]
    lines += _table(report) if report.rows else [report.nothing]
    return "\n".join([*lines, "", *report.remarks]) + "\n"


def _table(report: WordedReport) -> list[str]:
    head = [f"| {' | '.join(report.head)} |", "|---" * len(report.head) + "|"]
    return head + ["| " + " | ".join(cells) + " |" for cells in report.rows]
