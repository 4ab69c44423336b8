"""Words of pages that say why something is not shown or not done."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "error.title": ("This did not work", "操作未完成"),
    "error.code": ("Code: {0}", "代码：{0}"),
    "error.home": ("Go to the first page", "返回首页"),
    "error.bad_request": ("The request cannot be understood.", "无法理解该请求。"),
    "error.not_found": ("There is no such page.", "没有这个页面。"),
    "error.method_not_allowed": ("That cannot be done here.", "此处不支持该操作。"),
    "error.forbidden": (
        "Your roles do not allow this ({0}). It takes the role {1}; an account with the role admin can grant it.",
        "你的角色不允许此操作（{0}）。需要角色 {1}，可由 admin 角色的账户授予。",
    ),
    "error.csrf": (
        "The page was too old, or the request came from elsewhere: nothing was changed. Open the page again and repeat.",
        "页面已过期，或请求来自其他网站：未作任何变更。请重新打开页面后再试。",
    ),
    "error.cross_site": (
        "The request came from another site: nothing was changed.", "请求来自其他网站：未作任何变更。",
    ),
    "error.bad_host": ("The console is not offered under this name.", "控制台未在此地址提供服务。"),
    "error.too_large": ("The request is too large.", "请求过大。"),
    "error.too_many": ("Too many requests: wait a minute and try again.", "请求过多，请一分钟后再试。"),
    "error.look_quota": (
        "You have looked at as much evidence as one account may in a day. Ask for less, go on tomorrow, or have the "
        "limit raised by whoever keeps the configuration.",
        "你今日查阅的证据已达单个账户的上限。请缩小范围或明日继续，也可请配置管理员提高上限。",
    ),
    "error.internal": (
        "Something broke on our side. It has been noted in the console's log.", "系统内部出错，已记入控制台日志。",
    ),
    "error.no_incident": ("There is no such incident.", "没有该事件。"),
    "error.no_channel": ("There is no such channel.", "没有该渠道。"),
    "error.no_handler": ("There is no such account that may handle incidents.", "没有可处理事件的该账户。"),
    "error.no_reason": ("Say why, in 1 to 2,000 characters.", "请填写理由（1 至 2,000 个字符）。"),
    "error.no_breach": ("No breach is suspected in this incident.", "该事件尚未标记疑似泄露。"),
    "error.no_duty": ("There is no such duty in this breach clock.", "泄露处置时钟中没有该项义务。"),
    "error.bad_field": ("A field holds something that it may not.", "表单中有字段的内容无效。"),
    "error.refused": ("Refused: {0}", "被拒绝：{0}"),
    "error.away.store": (
        "ClickHouse, where evidence is kept, does not answer. Nothing is lost: events wait in Kafka.",
        "存放证据的 ClickHouse 无响应。数据不会丢失：访问记录暂存于 Kafka。",
    ),
    "error.store_slow": (
        "This question takes longer than anybody waits for a page. Choose a shorter period, or ask for one account or "
        "person alone. Nothing is lost or away.",
        "该查询耗时过长，已停止。请缩短期间，或仅查询单个账户或主体。数据未丢失，服务正常。",
    ),
    "error.away.kafka": (
        "Kafka does not answer. Nothing was changed, and no evidence is shown, since looking at it could not be recorded.",
        "Kafka 无响应。未作任何变更；由于无法登记查阅行为，暂不显示证据。",
    ),
    "error.away.accounts": (
        "The file of accounts is busy. Try again in a moment.", "账户文件正忙，请稍后再试。",
    ),
    "error.away.panels": ("What this page shows does not answer.", "本页所需数据暂不可用。"),
    "error.since": ("Since {0}.", "自 {0} 起。"),
    "error.retrying": ("This page comes back by itself.", "恢复后本页会自动刷新。"),
    "error.store_refused": (
        "ClickHouse refuses the question. Whoever runs the system should look at `accesstrail doctor`.",
        "ClickHouse 拒绝了该查询，请系统运维人员查看 `accesstrail doctor`。",
    ),
}  # fmt: skip
