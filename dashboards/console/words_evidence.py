"""Words of search, accounts, data subjects, reveals and exports."""

from __future__ import annotations

from collections.abc import Mapping

_FIELDS: Mapping[str, tuple[str, str]] = {
    # What events say, in their own words
    "action.none": ("unknown", "未知"),
    "action.read": ("read", "查看"),
    "action.search": ("search", "检索"),
    "action.list": ("list", "列表"),
    "action.create": ("create", "新建"),
    "action.update": ("change", "修改"),
    "action.delete": ("delete", "删除"),
    "action.export": ("export", "导出"),
    "action.download": ("download", "下载"),
    "action.share": ("share", "共享"),
    "action.print": ("print", "打印"),
    "action.unmask": ("unmask", "查看明文"),
    "action.decrypt": ("decrypt", "解密"),
    "action.import": ("import", "导入"),
    "action.login": ("log in", "登录"),
    "action.grant": ("grant rights", "授权"),
    "action.policy_change": ("change a policy", "变更策略"),
    "action.audit_query": ("query the audit log", "查询审计记录"),
    "action.audit_export": ("export audit evidence", "导出审计证据"),
    "action.log_control": ("control the log", "日志控制"),
    "outcome.success": ("success", "成功"),
    "outcome.denied": ("denied", "被拒"),
    "outcome.error": ("error", "出错"),
    "explained.none": ("not asked", "未判断"),
    "explained.explained": ("work item", "有工单"),
    "explained.claimed": ("claimed", "仅声称"),
    "explained.unexplained": ("unexplained", "无依据"),
    "explained.not_yet_explained": ("not explained yet", "暂无依据"),
    "network.none": ("network unknown", "网络未知"),
    "network.office": ("office", "办公网"),
    "network.vpn": ("VPN", "VPN"),
    "network.home": ("home", "居家"),
    "network.cloud": ("cloud", "云"),
    "network.partner": ("partner", "合作方"),
    "network.unlisted": ("unlisted network", "未登记网络"),
    "actor_type.none": ("unknown", "未知"),
    "actor_type.employee": ("employee", "员工"),
    "actor_type.contractor": ("contractor", "外包人员"),
    "actor_type.partner": ("partner", "合作方"),
    "actor_type.service": ("service account", "服务账号"),
    "actor_type.customer": ("customer", "客户"),
    "actor_type.admin": ("administrator", "管理员"),
    "actor_type.ai_agent": ("AI agent", "AI 智能体"),
    "actor_status.none": ("unknown", "未知"),
    "actor_status.active": ("active", "在职"),
    "actor_status.on_leave": ("on leave", "休假"),
    "actor_status.left": ("left", "已离职"),
    "actor_status.unlisted": ("not in the directory", "不在目录中"),
}

_SEARCH: Mapping[str, tuple[str, str]] = {
    "search.title": ("Search", "检索"),
    "search.lead": (
        "Find accesses by who, whose data, what and when. Ids you type become tokens here, in this process: they stand "
        "in no address, no query and no log. The search itself is recorded.",
        "按“谁、谁的数据、什么、何时”查找访问记录。您输入的标识在本进程内即转为假名，不会出现在网址、查询语句或日志中。检索行为本身会被记录。",
    ),
    "search.whom": ("Who and whose", "谁、谁的数据"),
    "search.ids.hint": (
        "An id as your systems know it, or a token of 32 digits from a page (an id that looks so: write id: in front).",
        "填写业务系统中的标识，或页面上 32 位的假名（若标识本身形如假名，请在前面加 id:）。",
    ),
    "search.actor": ("Account", "账号"),
    "search.subject": ("Data subject", "个人信息主体"),
    "search.resource": ("Resource", "资源"),
    "search.case": ("Work item", "工单"),
    "search.when": ("When", "时间"),
    "search.span": ("Period", "时间范围"),
    "search.day": ("last day", "最近一天"),
    "search.days": ("last {0} days", "最近 {0} 天"),
    "search.from": ("From (instead)", "起始（可选）"),
    "search.until": ("Until (instead)", "截止（可选）"),
    "search.what": ("What", "什么"),
    "search.any": ("any", "不限"),
    "search.action": ("Action", "操作"),
    "search.outcome": ("Outcome", "结果"),
    "search.explained": ("Explained", "依据"),
    "search.purpose": ("Purpose", "目的"),
    "search.resource_type": ("Kind of resource", "资源类型"),
    "search.least_risk": ("Risk, at least", "最低风险"),
    "search.ticket": ("Your own work item: why you look", "您本人的工单：查阅依据"),
    "search.ticket.hint": (
        "Optional. It explains your looks in the audit trail, until you change it or sign out.",
        "可不填。在更改或退出登录之前，它会作为您查阅的依据写入审计记录。",
    ),
    "search.go": ("Search", "检索"),
    "search.again": ("Search again", "重新检索"),
    "search.results": ("Accesses", "访问记录"),
    "search.none": (
        "No access answers this question. That is an answer too: nothing was found in this period.",
        "没有符合条件的访问记录。这本身也是结论：该时间段内未发现。",
    ),
    "search.newest": ("Newest", "最新"),
    "search.older": ("Older", "更早"),
    "search.told": ("This look has been recorded, with its number of rows.", "本次查阅及其行数已记录。"),
    "access.time": ("Time", "时间"),
    "access.actor": ("Account", "账号"),
    "access.did": ("Action", "操作"),
    "access.resource": ("Resource", "资源"),
    "access.subjects": ("Data subjects", "个人信息主体"),
    "access.purpose": ("Purpose", "目的"),
    "access.explained": ("Explained", "依据"),
    "access.place": ("Place", "地点"),
    "access.records": ("Records", "记录数"),
    "access.risk": ("Risk", "风险"),
    "access.case": ("case", "工单"),
    "access.repeated": ("sent again", "重复上报"),
    "access.unmasked": ("{0} in clear", "{0} 项明文"),
    "access.in_all": ("{0} in all", "共 {0} 人"),
}

_SUBJECT: Mapping[str, tuple[str, str]] = {
    "subject.title": ("Who touched", "谁接触过"),
    "subject.ask": ("Who touched this person's data?", "谁接触过此人的数据？"),
    "subject.ask.lead": (
        "Every account that touched one data subject, with what explains it and a count of the evidence beside it.",
        "列出接触过某一个人信息主体的所有账号、依据，并与原始证据核对数量。",
    ),
    "subject.ask.go": ("Show", "查看"),
    "subject.show": ("Show", "显示"),
    "subject.sentence": (
        "{0} accounts touched this data subject {1} times. Nothing explains {2} of the accesses, or nothing yet.",
        "共 {0} 个账号接触该主体 {1} 次，其中 {2} 次没有依据或暂无依据。",
    ),
    "subject.nobody": (
        "No access names this data subject in this period.",
        "该时间段内没有访问记录提及该主体。",
    ),
    "subject.check": ("Checked against the evidence", "与证据核对"),
    "subject.check.same": (
        "The evidence itself holds {0} accesses that name this data subject: the same number.",
        "原始证据中提及该主体的访问同样为 {0} 次，数量一致。",
    ),
    "subject.check.differs": (
        "The table by data subject says {0} accesses, the evidence itself {1}. Do not rely on the smaller number: have "
        "the operator look at the store.",
        "主体索引为 {0} 次，而原始证据为 {1} 次。请勿依据较小的数字，并通知运维检查存储。",
    ),
    "subject.check.late": (
        "The evidence of this period is too large to be counted while you wait: choose a shorter period to have the "
        "number checked.",
        "该时间段的证据过多，无法即时核对。请缩短时间范围后再核对。",
    ),
    "subject.unlisted": (
        "{0} accesses of this period touched more people than they list (large exports). Whether this person is among "
        "them, the events alone do not say: ask for the lists they refer to.",
        "该时间段内有 {0} 次访问涉及的人数多于其列出的人数（大批量导出）。仅凭事件无法判断此人是否在内，请调取其引用的清单。",
    ),
    "subject.repeated": ("{0} repetitions of the same event are not counted.", "另有 {0} 条重复上报未计入。"),
    "subject.as_of": ("Period:", "时间范围："),
    "subject.who": ("By account", "按账号"),
    "subject.accesses": ("Accesses", "访问次数"),
    "subject.open_accesses": ("Show these {0} accesses", "查看这 {0} 次访问"),
    "subject.first": ("First", "首次"),
    "subject.last": ("Last", "最近"),
    "subject.did": ("Actions", "操作"),
    "subject.for": ("Purposes", "目的"),
    "subject.explained": ("Work item", "有工单"),
    "subject.claimed": ("Claimed", "仅声称"),
    "subject.unexplained": ("Unexplained", "无依据"),
    "subject.open": ("Not yet", "暂无"),
    "subject.denied": ("Denied", "被拒"),
    "subject.cut": (
        "Only the {0} latest accounts are listed; the sums count all.",
        "仅列出最近的 {0} 个账号，合计包含全部。",
    ),
    "subject.accesses_newest": ("The newest accesses", "最新访问"),
}

_ACTOR: Mapping[str, tuple[str, str]] = {
    "actor.title": ("Account", "账号"),
    "actor.unseen": ("No access of this account is known in the last 35 days.", "最近 35 天没有该账号的访问记录。"),
    "actor.facts": ("What is known", "基本情况"),
    "actor.type": ("Kind", "类型"),
    "actor.org": ("Organisation", "组织"),
    "actor.department": ("Department / role", "部门 / 岗位"),
    "actor.status": ("Status", "状态"),
    "actor.accesses": ("All its accesses", "全部访问记录"),
    "actor.usual": ("Usual against now", "平常与当前"),
    "actor.usual.hint": (
        "Usual: the median of the {0} active days among the {1} days before. Now: the largest day of the last week. "
        "Marked from {2} times the usual on.",
        "平常：此前 {1} 天中 {0} 个活跃日的中位数。当前：最近一周中最大的一天。达到平常的 {2} 倍时标出。",
    ),
    "actor.no_usual": (
        "Only {0} active days before the last week: too few to say what is usual.",
        "此前仅有 {0} 个活跃日，不足以判断平常水平。",
    ),
    "actor.amount": ("Amount", "数量"),
    "actor.usual_day": ("Usual day", "平常一天"),
    "actor.now_day": ("Largest of {0} days", "最近 {0} 天最大"),
    "actor.more": ("more", "偏多"),
    "amount.events": ("Accesses", "访问次数"),
    "amount.subjects": ("Data subjects", "个人信息主体"),
    "amount.records": ("Records", "记录数"),
    "amount.unexplained": ("Not explained", "无依据"),
    "amount.denied": ("Denied", "被拒"),
    "amount.unmasked": ("In clear", "明文"),
    "actor.days": ("By day", "按天"),
    "actor.day": ("Day", "日期"),
    "actor.as_table": ("As a table", "以表格显示"),
    "actor.hours": ("By hour of the day", "按小时"),
    "actor.types": ("Kinds of resources", "资源类型"),
    "actor.purposes": ("Purposes", "目的"),
    "actor.actions": ("Actions", "操作"),
    "actor.countries": ("Countries", "国家或地区"),
    "actor.networks": ("Networks", "网络"),
    "actor.word": ("Name", "名称"),
    "actor.subjects": ("Data subjects", "主体数"),
    "actor.unexplained": ("Not explained", "无依据"),
    "actor.rest": ("everything else", "其余"),
    "actor.cut": (
        "More than 10,000 different kinds of accesses: the smallest are left out of these tables.",
        "访问种类超过 10,000，最少的部分未列入以上表格。",
    ),
    "actor.incidents": ("Incidents", "事件"),
    "actor.no_incidents": ("None.", "无。"),
    "actor.alerts": ("Alerts of the last 35 days", "最近 35 天的告警"),
    "actor.no_alerts": ("None.", "无。"),
}

_LEAVING: Mapping[str, tuple[str, str]] = {
    "reveal.title": ("Reveal the identity", "还原身份"),
    "reveal.lead.actor": (
        "Who is behind this token is shown to you alone, after the reveal is recorded. Accounts are known if the "
        "directory lists them.",
        "还原行为被记录后，仅向您显示该假名对应的身份。目录中登记的账号可以还原。",
    ),
    "reveal.lead.subject": (
        "Who is behind this token is shown to you alone, after the reveal is recorded. Data subjects are known only "
        "where the directory lists them (flags, region, or as somebody's own record).",
        "还原行为被记录后，仅向您显示该假名对应的身份。仅当目录中列有该主体（标记、地区或本人记录）时才能还原。",
    ),
    "reveal.reason": ("Why", "理由"),
    "reveal.go": ("Reveal and record", "记录并还原"),
    "reveal.token": ("Token", "假名"),
    "reveal.kind": ("Of", "对象"),
    "reveal.kind.actor": ("an account", "账号"),
    "reveal.kind.subject": ("a data subject", "个人信息主体"),
    "reveal.identity": ("Identity", "身份"),
    "reveal.unknown.actor": (
        "Nobody here knows it: the directory does not list this account.", "无法还原：目录中没有该账号。",
    ),
    "reveal.unknown.subject": (
        "Nobody here knows it: identities of data subjects are not kept in this version, only the few that the "
        "directory lists. Ask the system that reported the access.",
        "无法还原：当前版本不保存个人信息主体的身份，目录只列有少数。请向上报该访问的业务系统查询。",
    ),
    "reveal.told": ("This reveal and its reason have been recorded.", "本次还原及理由已记录。"),
    "error.short_reason": ("Say why, in 10 characters or more.", "请填写不少于 10 个字符的理由。"),
    "error.too_many_reveals": (
        "Ten identities an hour are revealed to one person. More takes two people.", "每人每小时最多还原 10 个身份，更多须双人授权。",
    ),
    "export.title": ("Export these accesses", "导出这些访问记录"),
    "export.lead": (
        "All accesses that answer, at most {0}, with tokens in place of identities. The export is recorded with your "
        "reason, the number of rows and the file's SHA-256.",
        "导出全部符合条件的访问记录，最多 {0} 条，身份均为假名。导出的理由、行数及文件的 SHA-256 会被记录。",
    ),
    "export.format": ("Format", "格式"),
    "export.format.csv": ("CSV, for spreadsheets", "CSV（表格软件）"),
    "export.format.jsonl": ("JSON Lines, for programs", "JSON Lines（程序）"),
    "export.reason": ("What the file is for", "文件用途"),
    "export.go": ("Record and download", "记录并下载"),
    "error.export_large": (
        "Too many accesses answer for one person to take out: fewer than 1,000 at once. Narrow the question; more "
        "takes two people.",
        "符合条件的记录过多：一人一次须少于 1,000 条。请缩小范围；更多须双人授权。",
    ),
    "error.bad_search": (
        "This cannot be searched for. Use the form; only tokens stand in addresses.", "无法按此检索。请使用表单，网址中只能是假名。",
    ),
    "error.bad_cursor": ("This page of the search cannot be found: search again.", "该检索页已无法找到，请重新检索。"),
}  # fmt: skip

WORDS: Mapping[str, tuple[str, str]] = {**_FIELDS, **_SEARCH, **_SUBJECT, **_ACTOR, **_LEAVING}
