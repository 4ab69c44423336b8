"""Words of the frame around every page, of help, and of times and numbers."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "name": ("accesstrail", "accesstrail"),
    "skip": ("Skip to content", "跳到正文"),
    "menu": ("Main menu", "主菜单"),
    "nav.overview": ("Overview", "总览"),
    "nav.incidents": ("Incidents", "事件"),
    "nav.search": ("Search", "检索"),
    "nav.boards": ("Boards", "看板"),
    "nav.audit": ("Audit", "审计"),
    "nav.models": ("Rules and models", "规则与模型"),
    "nav.pipeline": ("Pipeline", "管道状态"),
    "nav.settings": ("Settings", "设置"),
    "nav.help": ("Help", "帮助"),
    "sign_out": ("Sign out", "退出登录"),
    "signed_in_as": ("Signed in as {0}", "当前账户：{0}"),
    "language": ("Language", "语言"),
    "language.en": ("English", "English"),
    "language.zh": ("中文", "中文"),
    "times_in": ("Times are shown in {0}.", "时间按 {0} 显示。"),
    "none": ("none", "无"),
    "loading": ("Loading …", "加载中……"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "more": ("Show more", "显示更多"),
    "back": ("Back", "返回"),
    "close": ("Close", "关闭"),
    "help.title": ("Help", "帮助"),
    "help.lead": (
        "accesstrail answers three questions about customers' personal data: who touched it, was that normal, and can "
        "you prove it.",
        "accesstrail 回答关于客户个人信息的三个问题：谁接触过、是否正常、能否证明。",
    ),
    "help.start": ("Where to begin", "从何入手"),
    "help.start.overview": (
        "The overview says in one sentence whether something is wrong now.",
        "总览用一句话说明当前是否有异常。",
    ),
    "help.start.incidents": (
        "Incidents are what somebody has to handle; the gravest stand first.",
        "“事件”列出需要处理的情况，最严重的排在最前。",
    ),
    "help.start.evidence": (
        "Whatever shows evidence is itself recorded: who looked at what, when, and how many rows.",
        "查阅证据的行为本身也会留痕：谁、何时、看了什么、多少行。",
    ),
    "help.start.audit": (
        "whether the evidence is intact, controls, the report to a data subject, evidence with proofs.",
        "证据是否完好、控制措施、个人信息访问报告、可校验的证据包。",
    ),
    "help.keys": ("Keyboard", "键盘"),
    "help.keys.text": (
        "Tab moves on, Shift+Tab back, Enter opens, Space ticks a box. The first stop on each page skips the menu.",
        "Tab 前进，Shift+Tab 后退，Enter 打开，空格勾选。每页第一个焦点可跳过菜单。",
    ),
    "help.words": ("Words", "用语"),
    "help.word.risk": (
        "Risk: a number from 0 to 100. 40 is about one event in 100, 60 one in 1,000, 80 one in 10,000.",
        "风险：0 到 100 的数值。40 约为每 100 次访问 1 次，60 约为每 1,000 次 1 次，80 约为每 10,000 次 1 次。",
    ),
    "help.word.token": (
        "Token: stands for a person whose name is not shown. The same person always has the same token.",
        "假名（token）：代替不显示姓名的个人；同一人始终对应同一假名。",
    ),
    "help.word.incident": (
        "Incident: alerts about one actor or thing that belong together.",
        "事件：围绕同一操作者或对象、相互关联的告警。",
    ),
    "help.roles": ("What your roles allow", "你的角色允许的操作"),
}
