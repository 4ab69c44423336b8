"""The sentences of the audit report in both languages; `{0}` and so on are put in by `report_words.py`."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.breach.model import Text

SENTENCES: Mapping[str, Text] = {
    "title": Text("Audit report on access to personal data", "个人信息访问审计报告"),
    "scope": Text("Scope and period", "范围与期间"),
    "completeness": Text("Completeness", "完整性"),
    "activity": Text("Activity", "访问活动"),
    "alerts": Text("Alerts and incidents", "告警与事件"),
    "breaches": Text("Suspected breaches and their deadlines", "疑似泄露与时限"),
    "exceptions": Text("Exceptions in force", "生效的例外"),
    "versions": Text("Changes of models, rules and thresholds", "模型、规则与阈值变更"),
    "accounts": Text("Accounts and roles of this system", "本系统账户与角色"),
    "controls": Text("Controls", "控制"),
    "sample": Text("Sample", "抽样"),
    "limits": Text("Limits of this report", "本报告的局限"),
    "statements": Text("Statements", "语句"),
    "period": Text(
        "From {0} to {1}, by the time of receipt in the log, the end excluded.",
        "期间为 {0} 至 {1}（不含末时刻），以日志接收时间为准。",
    ),
    "made": Text("Made at {0} by the account {1}. Reason: {2}", "由账户 {1} 于 {0} 生成。理由：{2}"),
    "topics": Text(
        "Logs: accesses {0}, incidents {1}, messages {2}; all tenants.",
        "日志主题：访问 {0}，事件 {1}，通知 {2}；涵盖全部租户。",
    ),
    "tokens": Text(
        "Accounts and data subjects appear as keyed pseudonyms, here by their first eight digits; responders and holders "
        "of roles by the names of their accounts. That this report was made is itself an entry of the log.",
        "操作者与个人均以带密钥的假名出现（此处仅显示前八位）；处置人员与角色持有人显示账户名。生成本报告本身也是日志中的一条记录。",
    ),
    "nothing_sealed": Text(
        "The ledger has no batch of this period: this report says nothing about it.",
        "账本中没有该期间的批次：本报告不能说明该期间的任何情况。",
    ),
    "no_holes": Text(
        "Of every partition the ledger holds each offset between the first and the last of the period: {0} batches, no "
        "offset missing or sealed twice. {1} events and {2} dead letters are stored.",
        "各分区在该期间首末偏移之间的每个偏移均在账本中：共 {0} 个批次，无缺失、无重复封存。存储事件 {1} 条、死信 {2} 条。",
    ),
    "holes": Text(
        "NOT COMPLETE: {0} offsets between the first and the last of the period are not in the ledger, or in it twice.",
        "不完整：该期间首末偏移之间有 {0} 个偏移不在账本中，或重复封存。",
    ),
    "gaps": Text(
        "{0} records were gone from the log before they were read; they are sealed as {1} gaps.",
        "有 {0} 条记录在读取前已从日志中消失，作为 {1} 个缺口封存。",
    ),
    "unscored": Text("{0} events are stored without the score that was due.", "有 {0} 条事件应评分而未评分。"),
    "whole_batches": Text(
        "Batches at the borders of the period are counted whole, so the ledger may count more than the stored rows.",
        "期间边界处的批次按整批计，故账本计数可能大于存储行数。",
    ),
    "sources_seen": Text(
        "{0} sources reported. A source that never reported cannot be seen here: compare with your list of systems.",
        "共 {0} 个来源上报。从未上报的来源此处不可见，请与系统清单比对。",
    ),
    "signed": Text("Signed checkpoints cover every leaf of all {0} trees.", "签名检查点覆盖全部 {0} 棵树的所有叶子。"),
    "partly_signed": Text(
        "Signed checkpoints: {0} of {1} trees have one; {2} leaves are covered by none.",
        "签名检查点：{1} 棵树中 {0} 棵已签名；{2} 个叶子未被覆盖。",
    ),
    "not_signed": Text(
        "No tree of this period has a signed checkpoint: whoever can write to the store could have made it anew.",
        "该期间的树均无签名检查点：能写入存储者可能重造历史。",
    ),
    "breach": Text(
        "Incident {0}: known since {1} (set by {2}), duties as of {3}.",
        "事件 {0}：发现于 {1}（由 {2} 认定），义务状态截至 {3}。",
    ),
    "breach_head": Text("duty|state|deadline|hours left|recipient|why", "义务|状态|截止|剩余小时|接收方|说明"),
    "unconfirmed": Text(" (unconfirmed)", "（未经核对）"),
    "exceptions_of": Text(
        "Exceptions of the version set in force at the end of the period that were valid at some time in it.",
        "期末生效版本集中、且在期间内曾有效的例外。",
    ),
    "exception_head": Text(
        "exception|of whom or what|detectors|owner|why|from|until", "例外|适用对象|检测项|责任人|理由|起|止"
    ),
    "holders": Text("Accounts and their roles as of {0}.", "截至 {0} 的账户与角色。"),
    "account_head": Text("account|roles|state", "账户|角色|状态"),
    "register": Text(
        "Register of controls of version {0}. What people must show is never covered by evidence alone. No legal advice.",
        "控制登记册版本 {0}。需人工证明的部分不以证据代替。本报告不构成法律意见。",
    ),
    "result_head": Text("result|controls", "结果|控制数"),
    "control_head": Text(
        "control|what|result|serves|evidence|what people must do", "编号|控制|结果|对应条款|证据|需人工完成"
    ),
    "sample_of": Text(
        "Seed {0}. Every access of the period is in exactly one stratum, the first that fits. Of each stratum the {1} "
        "accesses with the smallest SHA-256 of seed|topic|life of the topic|partition|offset: whoever runs the "
        "statement again with this seed draws the same ones.",
        "种子 {0}。期间内每条访问恰属一层，取首个符合者。每层取 SHA-256(种子|主题|主题生命|分区|偏移) 最小的 {1} 条：以同一种子"
        "重新执行语句，将抽得相同样本。",
    ),
    "sample_head": Text(
        "stratum|place|when|actor|action|outcome|resource|purpose|subjects|risk|drawn by",
        "层|位置|时间|操作者|操作|结果|资源类型|目的|人数|风险|抽样值",
    ),
    "statements_of": Text(
        "Every number above comes from one of these statements, run as the database role reader with the parameters "
        "that stand above each.",
        "上述每个数字均出自以下语句之一，以数据库角色 reader 及各语句上方所列参数执行。",
    ),
    "source": Text("Statement: {0}", "语句：{0}"),
    "number": Text("number", "数量"),
    "none_of": Text("None: {0}.", "无：{0}。"),
    "none": Text("None.", "无。"),
}

STRATA: Mapping[str, Text] = {
    "export": Text("exports", "导出"),
    "unmasked": Text("fields in clear", "明文显示"),
    "denied": Text("denied", "被拒绝"),
    "unexplained": Text("unexplained", "无解释"),
    "other": Text("all others", "其他"),
}

LIMITS = (
    Text(
        "It tells what sources reported. An access that no source reported is not in the log.",
        "本报告仅反映来源上报的内容；未上报的访问不在日志中。",
    ),
    Text(
        "It asks the store and does not check hashes or signatures itself: for that, check the ledger against "
        "checkpoints kept elsewhere.",
        "本报告查询存储，本身不核验哈希与签名；核验须将账本与另处保存的检查点比对。",
    ),
    Text(
        "Checkpoints are those of the log of accesses; those of the log of incidents are not looked at here.",
        "检查点仅指访问日志的检查点；事件日志的检查点不在此列。",
    ),
    Text(
        "Records received before the end of the period and sealed after this report was made are not in it.",
        "期末前接收但在本报告生成之后才封存的记录不在其中。",
    ),
    Text(
        "Incidents, verdicts and accounts are as they stood when the report was made, accesses as they were received.",
        "事件、结论与账户为报告生成时的状态，访问为接收时的状态。",
    ),
    Text(
        "Lists end at 200 rows (breaches at 50, kinds of dead letters at 100); the totals above them count everything.",
        "列表最多 200 行（疑似泄露 50 行，死信类别 100 行）；其上方的总数为全部。",
    ),
    Text(
        "Numbers missing from a source are counted between its first and last number of the period: a source that "
        "starts counting anew within the period counts wrongly.",
        "来源缺失序号按期间内首末序号之间计算：期间内重新计数的来源会计算有误。",
    ),
    Text(
        "Countries, factors, purposes and sensitivity are what sources and the directory said.",
        "国家、认证方式、目的与敏感级别以来源和目录为准。",
    ),
    Text(
        "Articles marked unconfirmed were not read in their source. The register is no legal advice.",
        "标为未经核对的条款未在其来源中核实。登记册不构成法律意见。",
    ),
)
