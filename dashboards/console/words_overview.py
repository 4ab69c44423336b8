"""Words of the overview and of panels."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "overview.title": ("Overview", "总览"),
    "overview.now": ("Right now", "当前状态"),
    "overview.gravest": ("The gravest incidents", "最严重的事件"),
    "overview.panels": ("The last {0} hours", "最近 {0} 小时"),
    "overview.live": ("This block keeps itself up to date.", "此区域自动更新。"),
    "verdict.good": ("All is well", "一切正常"),
    "verdict.warning": ("Worth a look", "需要关注"),
    "verdict.bad": ("Something is wrong", "存在异常"),
    "verdict.no_incidents": ("No incident is open.", "没有未关闭的事件。"),
    "verdict.critical": ("Critical incidents not closed: {0}.", "未关闭的严重事件：{0} 个。"),
    "verdict.others": ("Other incidents not closed: {0}.", "其他未关闭事件：{0} 个。"),
    "verdict.waiting": ("Taken by nobody yet: {0}.", "尚无人处理：{0} 个。"),
    "verdict.problem": ("Taking events in has a problem ({0}).", "事件接入存在问题（{0}）。"),
    "verdict.quiet": ("Nothing was stored for {0} minutes.", "已有 {0} 分钟未存入任何记录。"),
    "verdict.healthy": ("Taking events in works: {0} a second.", "事件接入正常：每秒 {0} 条。"),
    "verdict.sources_ok": ("Every source reports as it should.", "所有来源均按时上报。"),
    "verdict.silent": ("Silent sources: {0} ({1}).", "静默的来源：{0} 个（{1}）。"),
    "verdict.away_for": ("For {0}.", "已持续 {0}。"),
    "panel.table": ("As a table", "以表格显示"),
    "panel.why": ("What for", "用途"),
    "panel.chart": ("Chart: {0}", "图表：{0}"),
    "panel.refresh": ("Load again", "重新加载"),
    "error.no_panel": ("There is no such panel.", "没有该面板。"),
}
