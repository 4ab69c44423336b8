"""Words of the pages of an audit: where they lead, verification, controls, subject report, bundles."""

from __future__ import annotations

from collections.abc import Mapping

_HUB: Mapping[str, tuple[str, str]] = {
    "audit.title": ("Audit", "审计"),
    "audit.same_period": ("The same period: {} – {}", "同一期间：{} – {}"),
    "audit.lead": (
        "What is proved, what is owed to people, and what leaves the house. Each page says what it takes.",
        "证据是否可信、对个人的答复、对外导出的证据。各页面按角色开放。",
    ),
    "audit.verification.lead": (
        "Whether the evidence is what was sealed and signed: the last run, what differs, and how to run it yourself.",
        "证据是否与封存、签名时一致：最近一次校验、差异，以及如何自行校验。",
    ),
    "audit.controls.lead": (
        "Laws, controls, the evidence of each, and what only people can show.", "法规、控制措施、各自的证据，以及须由人工证明的部分。",
    ),
    "audit.report.lead": (
        "The answer to a person who asks who looked at their data.", "答复个人关于“谁查看过我的数据”的请求。",
    ),
    "audit.bundle.lead": (
        "The accesses to one data subject with their proofs, to be verified by a stranger.",
        "导出某一主体的访问记录及证明，供外部人员独立校验。",
    ),
    "audit.command": ("By command", "通过命令"),
    "audit.command.report": (
        "The audit report of a period, with its completeness statement and a sample: accesstrail report audit.",
        "期间审计报告（含完整性声明与抽样）：accesstrail report audit。",
    ),
    "audit.command.range": (
        "A range of the whole log, in which nothing can be missing: accesstrail evidence export, by two people.",
        "整段日志（可证明无遗漏）：accesstrail evidence export，须两人。",
    ),
    "audit.command.verify": (
        "Verification, which anybody with the public keys can repeat: accesstrail verify.",
        "校验（持有公钥者均可重复）：accesstrail verify。",
    ),
}  # fmt: skip

_VERIFICATION: Mapping[str, tuple[str, str]] = {
    "verification.title": ("Verification", "证据校验"),
    "verification.lead": (
        "What the last run of accesstrail verify on the store came to. This page runs nothing and proves nothing: "
        "whoever doubts it runs the command below, with public keys that came on another way.",
        "显示最近一次 accesstrail verify 校验存储的结论。本页不执行校验，也不构成证明：如有疑问，请用经由其他途径取得的公钥运行下方命令。",
    ),
    "verification.none": (
        "No run on this store has left a verdict here. Run the command below, or have it run each day.",
        "此处尚无对本存储的校验结论。请运行下方命令，或安排每日运行。",
    ),
    "verification.verdict.intact": (
        "Intact and complete: {0} leaves are what was sealed and signed.", "一致且完整：{0} 个叶子与封存、签名时相同。",
    ),
    "verification.verdict.incomplete": (
        "Intact but incomplete: {0} leaves are what was sealed; {1} things are missing, named below.",
        "一致但不完整：{0} 个叶子与封存时相同；缺失 {1} 处，见下。",
    ),
    "verification.verdict.differences": (
        "Not intact: {1} differences in {0} leaves. Keep the store as it is, copy it, and find out who had rights.",
        "存在差异：{0} 个叶子中有 {1} 处差异。请保持存储原状、复制留存，并查明谁拥有写入权限。",
    ),
    "verification.verdict.not_judged": ("Could not be judged", "未能判定"),
    "verification.short.intact": ("intact and complete", "一致且完整"),
    "verification.short.incomplete": ("intact, incomplete", "一致但不完整"),
    "verification.short.differences": ("differences", "存在差异"),
    "verification.short.not_judged": ("could not be judged", "未能判定"),
    "verification.ago": ("Begun {0} ago.", "开始于 {0} 前。"),
    "verification.old": (
        "This verdict is old: what was stored since is not judged by it. Have it run again.",
        "该结论已过时：此后写入的内容未经校验，请重新运行。",
    ),
    "verification.later_failed": (
        "A later run could not be judged, at {0}: {1}", "此后的一次校验（{0}）未能判定：{1}",
    ),
    "verification.unreadable": (
        "{0} files in the folder of results are no results: somebody or something damaged them.",
        "结果文件夹中有 {0} 个文件无法识别，可能已被损坏。",
    ),
    "verification.began": ("Begun", "开始"),
    "verification.took": ("Took", "耗时"),
    "verification.by": ("Run by", "运行者"),
    "verification.nobody": ("nobody named (no token given)", "未署名（未提供令牌）"),
    "verification.hashed": ("Rows hashed by", "哈希计算者"),
    "verification.hashed.here": ("the command itself", "命令本身"),
    "verification.hashed.engine": ("the server, which is believed", "存储服务器（予以信任）"),
    "verification.keys": ("Public keys", "公钥"),
    "verification.kept": ("Checkpoints from outside", "系统外保存的检查点"),
    "verification.kept.none": (
        "none: whoever rewrote the store and its checkpoints would not be found", "无：若存储连同检查点一并被改写，将无法发现",
    ),
    "verification.leaves": ("Leaves", "叶子"),
    "verification.covered": ("Behind a checkpoint", "检查点已覆盖"),
    "verification.events": ("Events", "事件"),
    "verification.dead_letters": ("Dead letters", "死信"),
    "verification.gaps": ("Gaps", "缺口"),
    "verification.unscored": ("Without a score", "未评分"),
    "verification.pruned": ("Pruned", "已清理"),
    "verification.derived": ("Derived tables compared", "已比对的派生表"),
    "verification.notes": ("Not looked at", "未比对"),
    "verification.found": ("What differs or is missing", "差异与缺失"),
    "verification.found.none": ("Nothing.", "无。"),
    "verification.check": ("Check", "检查项"),
    "verification.code": ("What", "内容"),
    "verification.where": ("Where", "位置"),
    "verification.offset": ("Offset", "位点"),
    "verification.about": ("In detail", "说明"),
    "verification.missing": ("missing", "缺失"),
    "verification.changed": ("changed", "差异"),
    "verification.cut": ("Only the first {0} are listed; {1} were found.", "仅列出前 {0} 项，共发现 {1} 项。"),
    "verification.whole": ("the whole store", "整个存储"),
    "verification.trees": ("By tree", "按树"),
    "verification.tree": ("Tree", "树"),
    "verification.trees.cut": ("Only the first {0} trees of {1} are listed.", "仅列出前 {0} 棵树，共 {1} 棵。"),
    "verification.runs": ("Runs", "历次运行"),
    "verification.verdict": ("Verdict", "结论"),
    "verification.differences": ("Differences", "差异"),
    "verification.missed": ("Missing", "缺失"),
    "verification.notaries": ("Checkpoints and anchors", "检查点与锚点"),
    "verification.notaries.none": (
        "No notary says anything in this state folder: nothing is signed now, unless one runs elsewhere.",
        "此状态目录中没有公证进程上报：若公证进程未在别处运行，则当前没有签名。",
    ),
    "verification.round": (
        "A notary signed {0} trees as far as they were {1} ago.", "公证进程于 {1} 前对 {0} 棵树完成签名。",
    ),
    "verification.no_round": ("A notary runs and has signed nothing yet.", "公证进程正在运行，尚未签名。"),
    "verification.refused": ("Not signed: {0} ({1})", "拒绝签名：{0}（{1}）"),
    "verification.anchor": ("Anchor", "锚点"),
    "verification.anchor.kind": ("Kind", "类型"),
    "verification.anchor.took": ("Took one last", "最近接收"),
    "verification.anchor.lacks": ("Lacks one for", "缺少时长"),
    "verification.anchor.waiting": ("Trees waiting", "等待的树"),
    "verification.anchor.state": ("State", "状态"),
    "verification.anchor.good": ("has all", "已全部接收"),
    "verification.anchor.never": ("never", "从未"),
    "verification.no_anchors": (
        "There is no anchor: whoever holds store and signing key could write another history unseen.",
        "没有锚点：同时掌握存储与签名密钥者可改写历史而不被发现。",
    ),
    "verification.yourself": ("Verify it yourself", "自行校验"),
    "verification.yourself.lead": (
        "You need the ledger's public keys and, better, a checkpoint that was kept elsewhere: an anchor's file, a "
        "witness, your own folder. Take neither from this page nor from this system.",
        "需要账本公钥，最好另有保存在系统之外的检查点（锚点文件、见证方或自行保存）。两者均不应取自本页或本系统。",
    ),
    "verification.yourself.store": (
        "The store, by somebody who may read it (the role reader's password):", "校验存储（须能以 reader 角色读取）：",
    ),
    "verification.yourself.bundle": (
        "A bundle that was exported, by anybody, without this system:", "校验导出的证据包（任何人，无需本系统）：",
    ),
    "verification.yourself.each_day": (
        "To have it run each day, put the first command into cron; this page shows what it came to.",
        "如需每日运行，请将第一条命令加入 cron，本页会显示其结论。",
    ),
    "health.verification": ("Last verification", "最近一次校验"),
    "health.verification.none": ("none yet", "尚无"),
    "health.verification.said": ("{0}, {1} ago", "{0}，{1} 前"),
    "health.wrong.verification": (
        "The last verification found differences in the evidence: {0}.", "最近一次证据校验发现 {0} 处差异。",
    ),
}  # fmt: skip

_CHECKS: Mapping[str, tuple[str, str]] = {
    "check.bundle_malformed": ("the bundle's form", "证据包格式有误"),
    "check.bundle_file": ("a file of the bundle is missing or another", "证据包文件缺失或不符"),
    "check.checkpoint_signature": ("a signature of a known key is wrong", "已知密钥的签名有误"),
    "check.checkpoint_unsigned": ("signed by no key that was given", "不是由所给密钥签名"),
    "check.checkpoint_malformed": ("no checkpoint, or cut off", "不是检查点或不完整"),
    "check.checkpoint_tree": ("a checkpoint of another tree", "属于另一棵树的检查点"),
    "check.entry_hash": ("an entry was changed", "账本条目被改动"),
    "check.entry_chain": ("an entry does not follow the one before", "账本条目前后不衔接"),
    "check.leaf_kind": ("a row of an unknown kind or version", "行的类型或版本未知"),
    "check.row_order": ("a row that does not belong there", "行的位置有误"),
    "check.entry_root": ("rows are not those that were sealed", "行与封存时不同"),
    "check.entry_frontier": ("an entry contradicts itself", "账本条目自相矛盾"),
    "check.entry_counts": ("counts or times are not those of the rows", "数量或时间与行不符"),
    "check.checkpoint_root": ("rows are not those that were signed", "行与签名时不同"),
    "check.checkpoint_beyond": ("the end was cut off", "末尾被截断"),
    "check.checkpoint_fork": ("two histories were signed", "存在两份已签名的历史"),
    "check.consistency": ("a consistency proof is wrong", "一致性证明有误"),
    "check.inclusion": ("an inclusion proof is wrong", "包含证明有误"),
    "check.derived": ("a derived table is not what the rows give", "派生表与行不符"),
    "check.pruned_uncovered": ("deleted outside of any announced run of retention", "不属于任何已登记的清理"),
    "check.view_changed": ("a view that is not the one this version makes", "视图与本版本所建不符"),
    "check.retention_unended": ("a run of retention has not ended", "一次清理尚未结束"),
    "check.incident_ahead": ("an incident is of a record that its log does not have", "事件对应的记录尚不在其日志中"),
    "check.offset_missing": ("records are in no row", "有记录不在任何行中"),
    "check.sequence_missing": ("a source's own counter has holes", "来源自身序号不连续"),
    "check.not_covered": ("rows that no checkpoint covers", "尚无检查点覆盖的行"),
    "check.gap": ("Kafka did not give records; the log says so", "Kafka 未能提供的记录（日志已载明）"),
    "check.time_backwards": ("times go back", "时间倒退"),
}
"""What each code of a check means; the codes are those of docs/reference/evidence.md, section 7."""

_CONTROLS: Mapping[str, tuple[str, str]] = {
    "controls.title": ("Controls", "控制措施"),
    "controls.lead": (
        "{0} controls and the articles of {1} laws and standards that they serve. No legal advice: summaries are in our "
        "own words, and what was not read in a source is marked as not confirmed.",
        "{0} 项控制措施及其对应的 {1} 部法规、标准的条款。不构成法律意见：摘要为自拟，未与出处核对者标为“未核对”。",
    ),
    "controls.version": ("Register of version", "登记册版本"),
    "controls.judge": ("What does the evidence say of a period?", "证据在某期间的结果？"),
    "controls.judge.lead": (
        "Each control's statement is asked of the store now; only numbers come back. The report of an audit, with a "
        "sample and signed figures, is made by accesstrail report audit.",
        "将各控制措施的语句提交存储查询，仅返回数字。含抽样的正式审计报告由 accesstrail report audit 生成。",
    ),
    "controls.judge.go": ("Ask", "查询"),
    "controls.period": ("Result of {0} – {1}", "{0} – {1} 的结果"),
    "controls.late": (
        "Too large to be counted while you wait, so without a result: {0}. Choose a shorter period.",
        "数据过多，无法即时统计，暂无结果：{0}。请缩短期间。",
    ),
    "controls.counted": ("In numbers", "统计"),
    "controls.kind": ("What evidence can show", "证据可证明的范围"),
    "controls.kind.covered": ("all of it", "全部"),
    "controls.kind.partly": ("a part", "部分"),
    "controls.kind.gap": ("the system does nothing here", "系统未实现"),
    "controls.kind.manual": ("nothing: people show it", "无：须人工证明"),
    "controls.control": ("Control", "控制措施"),
    "controls.serves": ("Serves", "对应条款"),
    "controls.result": ("Result", "结果"),
    "controls.no_result": ("not asked", "未查询"),
    "controls.evidence": ("Evidence", "证据"),
    "controls.person": ("What people must do or show", "须由人工完成或证明"),
    "controls.unconfirmed": ("not confirmed", "未核对"),
    "controls.confirmed": ("confirmed", "已核对"),
    "controls.laws": ("Laws and standards", "法规与标准"),
    "controls.law": ("Law", "法规"),
    "controls.in_force": ("In force from", "施行日期"),
    "controls.source": ("Read in", "出处"),
    "controls.article": ("Article", "条款"),
    "controls.summary": ("In our own words", "摘要（自拟）"),
    "controls.covering": ("Controls", "控制措施"),
    "controls.statement": ("The statement", "查询语句"),
}

_REPORT: Mapping[str, tuple[str, str]] = {
    "report.title": ("Subject report", "个人信息访问报告"),
    "report.lead": (
        "The report of accesses that a person is entitled to: when, what for, which kinds of data, by which department "
        "or partner. It names no employee and nobody else's data. Find out who asks before you hand it out.",
        "个人有权获取的访问记录：时间、目的、信息种类、部门或合作方。不含员工及他人信息。交付前请核验请求人身份。",
    ),
    "report.ask": ("Make the report that this person is entitled to", "生成该主体有权获取的报告"),
    "report.language": ("Language of the report", "报告语言"),
    "report.language.zh": ("Chinese", "中文"),
    "report.language.en": ("English", "英文"),
    "report.case": ("The person's request (stands in the report)", "个人的请求编号（写入报告）"),
    "report.reason": ("Why the report is made; kept in the log", "生成理由（写入日志）"),
    "report.go": ("Record and show", "记录并显示"),
    "report.file": ("The report as a file", "报告文件"),
    "report.file.lead": (
        "The file is recorded by itself, with its SHA-256 and the reason you gave.", "下载会另行登记，附文件的 SHA-256 与您填写的理由。",
    ),
    "report.file.md": ("Download as Markdown", "下载 Markdown"),
    "report.file.json": ("Download as JSON", "下载 JSON"),
    "report.cut": (
        "The first {0} of {1} accesses are shown; the file holds all.", "仅显示前 {0} 次访问，共 {1} 次；文件中为全部。",
    ),
    "report.actors": ("A report that names accounts takes two people.", "列出账户的报告须两人授权。"),
    "report.accounts": ("Report that names accounts", "列出账户的报告"),
    "report.accounts.lead": (
        "The same report with the token of each account, where naming them was found to be owed. The other person has "
        "the role dpo or responder. It is a file, recorded with both names.",
        "在认定应予告知的情况下，报告另列出各次访问的账户假名。另一人须为 dpo 或 responder。以文件提供，并登记双方账户。",
    ),
    "report.told": (
        "This look has been recorded, with its reason and {0} accesses.", "本次查阅已登记，附理由及 {0} 次访问。",
    ),
    "error.report_differs": (
        "The evidence and the table by data subject hold different numbers of accesses, so nothing is handed out. Have "
        "accesstrail verify --store run.",
        "原始证据与主体索引中的访问次数不一致，因此不予提供。请运行 accesstrail verify --store。",
    ),
    "error.report_large": (
        "More than 10,000 accesses: choose a shorter period, or use accesstrail subject-report.",
        "超过 10,000 次访问：请缩短期间，或使用 accesstrail subject-report。",
    ),
    "error.report_late": (
        "The evidence of this period is too large to be read while you wait: choose a shorter one, or use accesstrail "
        "subject-report.",
        "该期间的证据过多，无法即时读取：请缩短期间，或使用 accesstrail subject-report。",
    ),
}  # fmt: skip

_BUNDLE: Mapping[str, tuple[str, str]] = {
    "bundle.title": ("Evidence with proofs", "可校验的证据包"),
    "bundle.lead": (
        "The accesses to one data subject, each with the proof that it is in the signed log, as one archive. Whoever gets "
        "it verifies it with public keys only, without this system. Persons stay tokens.",
        "某一主体的访问记录打包为一个文件，每条附有其在已签名日志中的证明。接收者只需公钥即可独立校验，无需本系统。身份均为假名。",
    ),
    "bundle.ask": ("Export these accesses with proofs", "导出附证明的证据包"),
    "bundle.limits": (
        "One person takes fewer than 1,000 accesses at once, and only such as a signed checkpoint covers. It proves each "
        "of them, not that none was left out.",
        "一人一次须少于 1,000 次访问，且须已有签名检查点覆盖。证据包证明每条访问，但不证明没有遗漏。",
    ),
    "bundle.range": ("A range of the whole log", "整段日志"),
    "bundle.range.lead": (
        "A range of the log proves that nothing is missing inside it, and may be large. Two people export it, by command, "
        "each with a token of their own; this page does not offer it:",
        "整段日志可证明其中没有遗漏，数据量可能很大。须由两人各持本人令牌使用命令导出，本页不提供：",
    ),
    "bundle.reason": ("What the evidence is for; kept in the log", "证据用途（写入日志）"),
    "bundle.go": ("Record and download", "记录并下载"),
    "bundle.told": (
        "Before the download begins, the log holds who took it, why, how many rows, and the SHA-256 of the file "
        "manifest.json in the archive.",
        "下载开始前，日志已登记导出者、理由、行数，以及压缩包中 manifest.json 的 SHA-256。",
    ),
    "bundle.verify": ("Whoever receives it:", "接收者："),
    "bundle.go_to": ("Evidence with proofs, for one person or period", "按主体与期间导出附证明的证据包"),
    "error.nothing_found": (
        "No access names this data subject in this period: nothing is exported.", "该期间内没有涉及该主体的访问，未导出任何内容。",
    ),
    "error.not_signed_yet": (
        "Some of these accesses are behind no signed checkpoint yet. Does the notary run? Try again in a moment.",
        "部分访问尚无签名检查点覆盖。请确认公证进程正在运行，稍后再试。",
    ),
    "error.export_busy": (
        "Another bundle is being made: try again in a minute.", "正在生成另一个证据包，请一分钟后再试。",
    ),
    "error.draft_failed": (
        "The draft of the bundle cannot be written: is the disk of the state folder full?",
        "无法写入证据包草稿：请检查状态目录所在磁盘是否已满。",
    ),
}  # fmt: skip

WORDS: Mapping[str, tuple[str, str]] = {
    **_HUB, **_VERIFICATION, **_CHECKS, **_CONTROLS, **_REPORT, **_BUNDLE,
}  # fmt: skip
