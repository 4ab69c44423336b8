"""Words of boards, and of what their columns hold."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "answer.yes": ("yes", "是"),
    "answer.no": ("no", "否"),
    "series.opened": ("opened", "新开启"),
    "series.closed": ("closed", "已关闭"),
    "series.risk": ("highest risk", "最高风险"),
    "record.event": ("event", "记录"),
    "record.dead_letter": ("rejected", "被拒收"),
    "record.gap": ("gap", "缺口"),
    "flag.vip": ("VIP", "重要客户"),
    "flag.employee": ("employee", "员工"),
    "flag.minor": ("minor", "未成年人"),
    "flag.deceased": ("deceased", "已故"),
    "flag.complaint": ("complaint", "投诉中"),
    "flag.legal_hold": ("legal hold", "诉讼保全"),
    "basis.consent": ("consent", "同意"),
    "basis.contract": ("contract", "合同所必需"),
    "basis.legal_duty": ("legal duty", "法定职责"),
    "basis.public_emergency": ("public emergency", "突发公共事件"),
    "basis.news": ("news", "新闻报道"),
    "basis.published": ("published", "已公开信息"),
    "basis.other": ("other", "其他"),
    "recipient.internal": ("internal", "内部"),
    "recipient.partner": ("partner", "合作方"),
    "recipient.external": ("external", "外部"),
    "recipient.public": ("public", "公众"),
    "recipient.regulator": ("regulator", "监管机构"),
    "recipient.subject": ("the person", "本人"),
    "weekday.1": ("Mon", "周一"),
    "weekday.2": ("Tue", "周二"),
    "weekday.3": ("Wed", "周三"),
    "weekday.4": ("Thu", "周四"),
    "weekday.5": ("Fri", "周五"),
    "weekday.6": ("Sat", "周六"),
    "weekday.7": ("Sun", "周日"),
}  # fmt: skip
