"""Which of the thirty-two scenarios are watched, by what, and what no event can show.

Place in the flow: none; `docs/reference/detections.md` is generated from it. Rules and scheduled detectors name their
scenarios themselves (`Rule.detects`, `ScheduledDetector.scenarios`); here stand the features beside them. A scenario may
be watched in several ways: one state for each, and `unseen` says in words what stays hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

from detectors import scheduled as scheduled_detectors
from detectors.rules import all_rules
from detectors.rules.rule import Text

RULE, MODEL, SCHEDULED, NOT_OBSERVABLE = "rule", "model", "scheduled", "not observable"
STATES = {
    RULE: Text("rule", "规则"),
    MODEL: Text("model", "模型"),
    SCHEDULED: Text("scheduled", "定时检测"),
    NOT_OBSERVABLE: Text("not observable", "不可观测"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario: `features` of the model that move with it, and what stays hidden."""

    number: str
    title: Text
    features: tuple[str, ...] = ()
    unseen: Text | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that detect it, in the order of their reasons."""
        return tuple(rule.name for rule in all_rules() if self.number in rule.detects)

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The scheduled detectors that detect it, by name."""
        return tuple(one.name for one in scheduled_detectors.SCHEDULED if self.number in one.scenarios)

    @property
    def states(self) -> tuple[str, ...]:
        """How it is watched, at least one of STATES."""
        found = {RULE: self.rules, MODEL: self.features, SCHEDULED: self.scheduled, NOT_OBSERVABLE: self.unseen}
        return tuple(state for state, by in found.items() if by)


def _scenario(number: str, english: str, chinese: str, features: str = "", unseen: Text | None = None) -> Scenario:
    return Scenario(
        number=number,
        title=Text(english, chinese),
        features=tuple(features.split()),
        unseen=unseen,
    )


SCENARIOS: tuple[Scenario, ...] = (
    _scenario("D01", "bulk export or download", "批量导出或下载", "records records_own bytes records_day records_day_own all_records_day exported_day exported_day_own"),
    _scenario("D02", "slow drip", "长期少量窃取", "slow_rise records_week subjects_week subjects_2w unexplained_2w"),
    _scenario("D03", "off-hours access", "非工作时段访问", "hour_rarity", unseen=Text("rosters and on-call lists: own habit stands in for them", "排班与待命名单：以本人作息代替")),
    _scenario("D04", "new country, cross-border", "新国家或地区、数据出境", "new_country external_day"),
    _scenario("D05", "impossible travel", "不可能的移动", "travel"),
    _scenario("D06", "privilege gained, then used", "获得权限后使用", "rare_action rare_resource"),
    _scenario("D07", "dormant account wakes", "休眠账号被唤醒", "gap_days new_device new_network"),
    _scenario("D08", "shared credential or session", "共用凭据或会话", "device_turns network_turns new_device", unseen=Text("two people at one device in turn", "两人轮流使用同一设备")),
    _scenario("D09", "curiosity about protected people", "窥探受保护人员", "vip_day"),
    _scenario("D10", "colleague, self, family, former partner", "查看同事、本人、家人或前伴侣", "repeat_subject return_visits vip_day", unseen=Text("relations that no directory knows: friends, neighbours, former partners; only their repetition shows", "目录未登记的关系（朋友、邻居、前伴侣），仅能从反复查看中体现")),
    _scenario("D11", "unexplained access", "无工单访问", "unexplained_day unexplained_day_own unexplained_2w"),
    _scenario("D12", "outlier among colleagues", "偏离同组同事", "subjects_1h subjects_1h_own subjects_day subjects_day_own exposure_day all_subjects_day off_region rare_resource"),
    _scenario("D13", "service account used by a person", "服务账号被人使用", "new_network new_agent rare_channel hour_rarity"),
    _scenario("D14", "direct SQL past the application", "绕过应用直接执行 SQL", "rare_channel records", unseen=Text("queries on a database that reports no access events", "未上报访问事件的数据库上的查询")),
    _scenario("D15", "break-glass misuse", "滥用紧急访问", "unexplained_day", unseen=Text("whether a review followed outside the ticket system", "工单系统之外是否进行过复核")),
    _scenario("D16", "enumeration and scraping", "遍历与爬取", "sequence events_10m subjects_1h"),
    _scenario("D17", "distributed scraping", "分布式爬取", "network_turns"),
    _scenario("D18", "failed-access sweep", "大量失败访问", "denied_10m rare_resource"),
    _scenario("D19", "departing employee", "离职人员", "exported_day exported_day_own subjects_week records_week", unseen=Text("a departure that the directory does not know yet", "目录尚未登记的离职")),
    _scenario("D20", "partner beyond its contract", "合作方超出合同", "subjects_day all_subjects_day external_day"),
    _scenario("D21", "surge of unmasked looks", "明文查看激增", "unmasked_day unmasked_day_own"),
    _scenario("D22", "decryption outside the pattern", "异常解密", "rare_action unmasked_day"),
    _scenario("D23", "fishing by search", "试探性检索", "searches_day", unseen=Text("what was typed: search words never leave the application", "检索内容：检索词不离开应用")),
    _scenario("D24", "surge of prints and copies", "打印与复制激增", "exported_day exported_day_own rare_action", unseen=Text("photographs of a screen, copies by hand", "拍摄屏幕、手工抄录")),
    _scenario("D25", "sharing to outside", "对外分享", "external_day"),
    _scenario("D26", "records altered to hide", "篡改记录", "changes_day rare_action", unseen=Text("values before and after: events hold no contents", "更改前后的值：事件不含内容")),
    _scenario("D27", "tampering with the log, gaps, silence", "日志篡改、缺口与静默", "rare_action", unseen=Text("a source that never reported and is not listed", "从未上报且未登记的来源")),
    _scenario("D28", "abuse of audit rights", "滥用审计权限", "audit_day rare_action"),
    _scenario("D29", "purpose drift, consent withdrawn", "目的偏离、撤回同意后使用", "rare_resource", unseen=Text("what the data were really used for", "数据的实际用途")),
    _scenario("D30", "bulk access by an AI agent", "智能体批量访问", "subjects_1h subjects_day_own events_10m", unseen=Text("the instruction that the agent was given", "智能体收到的指令")),
    _scenario("D31", "joining categories into a profile", "拼合个人画像", "exposure_day rare_resource"),
    _scenario("D32", "minors or special categories without approval", "未经审批访问未成年人或特殊类别信息", "exposure_day unexplained_day"),
)  # fmt: skip
"""D01–D32, in order."""
