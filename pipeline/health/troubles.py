"""Every code a person may meet, explained in English and Chinese: what it means, and what to do next.

Place in the flow: below everything that names a code. Alarms (`alarms.py`), `accesstrail status`, `accesstrail doctor`
and `docs/reference/codes.md` take their words from here; `tests/golden/test_health_reference.py` walks the error tree
and fails while a code has none. Reasons of dead letters are explained by `stages.decode.REASONS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.health.refusals import REFUSALS, Trouble

AWAY_CODES: Mapping[str, str] = {
    "away": "store", "store_away": "store", "store_busy": "store", "store_slow": "store", "kafka_away": "kafka",
}  # fmt: skip
"""Codes of the class *away*, and the dependency each speaks of."""


TROUBLES: Mapping[str, Trouble] = {
    # -- away: waited for without end, nothing is lost
    "store_away": Trouble(
        "ClickHouse does not answer; events wait in Kafka and nothing is lost.",
        "check that ClickHouse runs and that [clickhouse] host and native_port are right; nothing need be restarted.",
        "ClickHouse 没有响应；事件在 Kafka 中等待，不会丢失。",
        "检查 ClickHouse 是否运行、[clickhouse] 的 host 与 native_port 是否正确；无需重启任何进程。",
    ),
    "store_busy": Trouble(
        "ClickHouse answers that it cannot serve now (memory, disk, parts or connections are used up); events wait in "
        "Kafka.",
        "look at its disk space, memory and running queries; nothing need be restarted.",
        "ClickHouse 暂时无法服务（内存、磁盘、数据片段或连接耗尽）；事件在 Kafka 中等待。",
        "检查其磁盘空间、内存和正在执行的查询；无需重启任何进程。",
    ),
    "store_slow": Trouble(
        "ClickHouse takes longer over a statement than the statement may; what must be done is tried again.",
        "where you asked for something, ask about a shorter time; else look at its load and running queries.",
        "ClickHouse 执行某语句超出时限；必须完成的操作会重试。",
        "如为查询，请缩短时间范围；否则检查其负载和正在执行的查询。",
    ),
    "kafka_away": Trouble(
        "Kafka does not answer; no event can be read until it is back.",
        "check that the brokers run and that [kafka] bootstrap_servers is right; nothing need be restarted.",
        "Kafka 没有响应；恢复之前无法读取任何事件。",
        "检查 broker 是否运行、[kafka] bootstrap_servers 是否正确；无需重启任何进程。",
    ),
    "away": Trouble(
        "A dependency does not answer; it is asked again without end.",
        "check that Kafka and ClickHouse run.",
        "依赖的服务没有响应；系统会一直重试。",
        "检查 Kafka 和 ClickHouse 是否运行。",
    ),
    "topic_missing": Trouble(
        "The topic of access events does not exist; the worker waits for it.",
        "create it with `accesstrail topics create`.",
        "访问事件的 topic 不存在；worker 正在等待。",
        "用 `accesstrail topics create` 创建。",
    ),
    # -- passing states of a worker
    "recovering": Trouble(
        "A partition reads its place from the ledger and its profiles from snapshot and log.",
        "wait; a long log takes minutes. If its offset stands still the watchdog restarts the worker.",
        "分区正在从账本读取位置，并由快照和日志恢复画像。",
        "请等待；日志很长时需要几分钟。若进度停滞，看门狗会重启 worker。",
    ),
    "not_assigned": Trouble(
        "The consumer group has given this worker no partition yet.",
        "wait for the group to settle; with more workers than partitions some have nothing to do.",
        "消费组尚未给该 worker 分配分区。",
        "等待消费组稳定；worker 多于分区时，部分 worker 无事可做。",
    ),
    # -- the watchdog and liveness
    "no_progress": Trouble(
        "Records wait in Kafka and a partition's sealed offset stands still although store and broker answer: its "
        "fetcher or thread is stuck. The worker ends with a non-zero status so that it is started again.",
        "see that it was restarted and that lag falls; if it happens again, keep the worker's log and report it.",
        "Kafka 中有待处理记录，存储与 broker 均有响应，但分区的封存位置停滞：拉取或线程卡住。worker 以非零状态退出以便重启。",
        "确认已重启且积压下降；若再次发生，请保留 worker 日志并报告。",
    ),
    "loop_stuck": Trouble(
        "The worker's main loop makes no more turns. The worker ends with a non-zero status so that it is started "
        "again.",
        "see that it was restarted; if it happens again, keep the worker's log and report it.",
        "worker 的主循环停止运转。worker 以非零状态退出以便重启。",
        "确认已重启；若再次发生，请保留 worker 日志并报告。",
    ),
    "thread_ended": Trouble(
        "A partition's thread has ended although the partition is ours. The worker ends with a non-zero status so "
        "that it is started again.",
        "see that it was restarted; if it happens again, keep the worker's log and report it.",
        "分区线程意外结束。worker 以非零状态退出以便重启。",
        "确认已重启；若再次发生，请保留 worker 日志并报告。",
    ),
    # -- said about a recovery; the partition goes on
    "profile_gap": Trouble(
        "Kafka no longer holds the events between the last profile snapshot and the sealed offset: the evidence is "
        "whole, but the actors' profiles of this partition miss those events, so scores may be too high or too low "
        "until the profiles have filled again.",
        "read the partition's findings of the coming days with that in mind; keep Kafka's retention longer than any "
        "stop of the workers.",
        "Kafka 已不再保存最近画像快照与封存位置之间的事件：证据完整，但该分区的人员画像缺少这些事件，评分在画像恢复前可能偏高或偏低。",
        "阅读该分区近几天的告警时请注意此情况；Kafka 保留期应长于 worker 的任何停机时间。",
    ),
    "topic_recreated": Trouble(
        "The topic was deleted and made again: the unread rest of the old one is recorded as a gap in the ledger, and "
        "a new life of the log begins at offset 0.",
        "find out who deleted the topic and what the old one still held; let its sources send it again.",
        "topic 被删除并重建：旧日志中未读的部分已作为缺口记入账本，新日志从位置 0 开始。",
        "查明是谁删除了 topic、旧日志中还有什么；请来源系统重新发送。",
    ),
    "log_shortened": Trouble(
        "Kafka's log ends before what is already sealed: the broker has lost records. What was sealed stays; the rest "
        "is recorded as a gap in the ledger, and a new life of the log begins at offset 0.",
        "look for an unclean stop of the broker or a lost disk; use replication factor 3 and acks=all.",
        "Kafka 日志的末尾早于已封存的位置：broker 丢失了记录。已封存内容保留，其余作为缺口记入账本，新日志从位置 0 开始。",
        "检查 broker 是否异常停机或磁盘丢失；请使用三副本和 acks=all。",
    ),
    # -- a broken invariant: the partition stops, the others go on
    "fenced": Trouble(
        "Another worker sealed this partition's next position first, several times in a row; this one wrote nothing "
        "that anyone can see and has stopped the partition.",
        "look for a second deployment that reads the same topic into the same store under another [kafka] group.",
        "另一个 worker 多次抢先封存了该分区的位置；本 worker 没有写入任何可见内容，并已停止该分区。",
        "检查是否有另一套部署以不同的 [kafka] group 把同一 topic 写入同一存储。",
    ),
    "lease_lost": Trouble(
        "A scheduler's query took so long that another scheduler has its turn now; it wrote nothing of what it found.",
        "nothing: the other scheduler repeats the run. Where it happens often, look why the detector's query is slow.",
        "调度器的查询耗时过长，已轮到另一个调度器；本次结果未写入。",
        "无需处理：另一个调度器会重新执行。若频繁出现，请检查该检测器查询缓慢的原因。",
    ),
    "ledger_conflict": Trouble(
        "Evidence computed again from Kafka differs from what the ledger has sealed: log, ledger or rows were changed, "
        "or the log lost records. The partition has stopped; nothing was written.",
        "keep store and log as they are, run `accesstrail doctor`, and compare the ledger with a backup or an old "
        "checkpoint before anything else.",
        "由 Kafka 重新计算的证据与账本封存的不同：日志、账本或数据行被改动，或日志丢失记录。分区已停止，未写入任何内容。",
        "保持存储与日志原样，运行 `accesstrail doctor`，首先将账本与备份或旧检查点比较。",
    ),
    "store_refused": Trouble(
        "ClickHouse refuses the worker's statements: rights, tables or settings are not what this version needs. The "
        "partition has stopped; nothing is skipped.",
        "run `accesstrail migrate --plan` and `accesstrail doctor`, put rights and schema right, then restart the "
        "worker.",
        "ClickHouse 拒绝 worker 的语句：权限、表或设置不符合本版本要求。分区已停止，不会跳过任何事件。",
        "运行 `accesstrail migrate --plan` 和 `accesstrail doctor`，修正权限与表结构，然后重启 worker。",
    ),
    "store_rejected": Trouble(
        "ClickHouse refused one row because of its content; the record is kept, encrypted, as a dead letter and sealed "
        "in the ledger.",
        "look at dead letters with this reason; a constraint or column type of the store was probably changed.",
        "ClickHouse 因内容拒绝了一行；该记录已加密保存为死信并封存于账本。",
        "查看此原因的死信；很可能有人修改了存储的约束或列类型。",
    ),
    "broken_invariant": Trouble(
        "Going on would break a promise, so the partition has stopped.",
        "read the worker's log for the cause, then run `accesstrail doctor`.",
        "继续运行会破坏承诺，因此该分区已停止。",
        "查看 worker 日志了解原因，然后运行 `accesstrail doctor`。",
    ),
    "internal_error": Trouble(
        "A fault of accesstrail itself that nobody foresaw has stopped this partition; nothing is skipped, the others go on.",
        "keep the worker's log, which names the place, report it, and restart the worker after an upgrade.",
        "accesstrail 自身出现未预料的错误，该分区已停止；不会跳过任何事件，其他分区继续运行。",
        "保留 worker 日志（其中有出错位置）并报告，升级后重启 worker。",
    ),
    "other_version": Trouble(
        "Stored but unsealed events were judged by another version of accesstrail, so this one may not seal them.",
        "start the version that wrote them once, let it finish, then upgrade.",
        "已存储但未封存的事件由其他版本评判，本版本不能封存。",
        "先启动写入它们的版本，待其完成后再升级。",
    ),
    "token_key_missing": Trouble(
        "The version set in force makes pseudonyms with a token key that the key file of this machine does not hold.",
        "bring the key file that the rotation wrote to this machine; the worker reads it when it changes.",
        "现行版本集使用的假名密钥不在本机密钥文件中。",
        "将轮换后写入的密钥文件复制到本机；worker 会在文件变更后自动读取。",
    ),
    "log_incomplete": Trouble(
        "Kafka no longer holds all the records that a replay needs.",
        "replay from an offset that Kafka still holds, or from a copy of the log.",
        "Kafka 已不再保存重放所需的全部记录。",
        "从 Kafka 仍保存的位置重放，或使用日志副本。",
    ),
    "activation_race": Trouble(
        "Others took up version sets at the same moment, again and again; nothing of ours was taken up.",
        "see with `accesstrail versions list` what is in force, then try again.",
        "其他进程同时反复启用版本集；本次未启用任何内容。",
        "用 `accesstrail versions list` 查看当前生效的版本集，然后重试。",
    ),
    "profile_size": Trouble(
        "A snapshot of the profiles was written by a version whose profiles have another size; the partition has "
        "stopped.",
        "run the version that wrote it, or upgrade again: a release with other profiles names another feature version.",
        "画像快照由画像大小不同的版本写入；分区已停止。",
        "运行写入该快照的版本，或重新升级：画像不同的发行版会使用另一个特征版本。",
    ),
    "old_server": Trouble(
        "The ClickHouse server is older than the oldest one that was tried.",
        "upgrade ClickHouse; `accesstrail doctor` says which version is needed.",
        "ClickHouse 服务器版本过旧。",
        "升级 ClickHouse；`accesstrail doctor` 会给出所需版本。",
    ),
    "schema_changed": Trouble(
        "A released schema step was edited.", "install an unchanged release of accesstrail.",
        "已发布的表结构步骤被改动。", "安装未经改动的 accesstrail 版本。",
    ),
    "schema_newer": Trouble(
        "The store's schema is newer than this version.", "upgrade accesstrail.",
        "存储的表结构比本版本更新。", "升级 accesstrail。",
    ),
    # -- settings and files
    "config": Trouble(
        "The configuration, a topic or a right of Kafka is wrong.",
        "run `accesstrail check` and `accesstrail doctor`; every fault is listed.",
        "配置、topic 或 Kafka 权限有误。",
        "运行 `accesstrail check` 和 `accesstrail doctor`；会列出全部错误。",
    ),
    "directory": Trouble(
        "A file of the directory folder is wrong, so no new version set can be built; the partition has stopped.",
        "correct the file and line that the worker's log names (`accesstrail check` tells too), then restart the "
        "worker.",
        "目录文件有误，无法建立新的版本集；分区已停止。",
        "更正 worker 日志指出的文件与行（`accesstrail check` 也会指出），然后重启 worker。",
    ),
    "usage": Trouble(
        "The command line or an input file cannot be used.", "see the command's --help.",
        "命令行或输入文件无法使用。", "查看该命令的 --help。",
    ),
    "invalid_event": Trouble(
        "A record is no valid access event and becomes a dead letter with a reason.",
        "look at the dead letters by reason and correct the source.",
        "记录不是有效的访问事件，已带原因转为死信。", "按原因查看死信并修正来源系统。",
    ),
    "sealed_payload": Trouble(
        "A dead letter's payload cannot be opened: another key, or damaged.",
        "use the token key file it was sealed with.",
        "死信内容无法打开：密钥不同或已损坏。", "使用封存时的密钥文件。",
    ),
    # -- the model: events are stored unscored
    "model_missing": Trouble(
        "There is no model: events are stored but not scored.",
        "train one with `accesstrail train` and put its folder where [detection] model points; it is taken up by itself.",
        "没有可用模型：事件已存储但未评分。",
        "用 `accesstrail train` 训练模型，放到 [detection] model 指向的目录，系统会自动启用。",
    ),
    "model_corrupt": Trouble(
        "The model's files are damaged: events are stored but not scored.",
        "restore the model folder or train again; it is taken up by itself.",
        "模型文件已损坏：事件已存储但未评分。",
        "恢复模型目录或重新训练，系统会自动启用。",
    ),
    "model_other_version": Trouble(
        "The model belongs to another version of accesstrail: events are stored but not scored.",
        "train again with this version; the model is taken up by itself.",
        "模型属于其他版本：事件已存储但未评分。",
        "用当前版本重新训练，系统会自动启用。",
    ),
    "model_golden_mismatch": Trouble(
        "The model scores otherwise on this machine than where it was made: events are stored but not scored.",
        "train again on this kind of machine; the model is taken up by itself.",
        "模型在本机的评分与训练时不一致：事件已存储但未评分。",
        "在同类机器上重新训练，系统会自动启用。",
    ),
    "model_unsigned": Trouble(
        "Nobody whose key [detection] model_public_keys names has signed the model: it is not used.",
        "look where the model came from; if it is yours, sign it with `accesstrail models sign DIR --key FILE`; it is "
        "taken up by itself.",
        "[detection] model_public_keys 所列密钥的持有人均未签署该模型：系统不会使用它。",
        "查明模型来源；若确为己方模型，用 `accesstrail models sign DIR --key FILE` 签名，系统会自动启用。",
    ),
    "model_signature": Trouble(
        "The model's signature does not belong to its files, or the file of public keys cannot be read: the model is "
        "not used.",
        "treat the model as swapped until you know better: compare `accesstrail models show` with where it was trained, "
        "restore it or train again, and sign it; `accesstrail check` names a faulty key file.",
        "模型的签名与文件不符，或公钥文件无法读取：系统不会使用该模型。",
        "在查明之前按模型被替换处理：用 `accesstrail models show` 与训练处核对，恢复或重新训练后再签名；"
        "`accesstrail check` 会指出有误的公钥文件。",
    ),
    "note_unsigned": Trouble(
        "A signed text carries no signature of a known key.", "get the public key of who signed it, or have it signed.",
        "签名文本没有已知密钥的签名。", "取得签署者的公钥，或请其签名。",
    ),
    "note_signature": Trouble(
        "A signed text was changed after it was signed.", "get it again from where it was made.",
        "签名文本在签名后被改动。", "从产生处重新获取。",
    ),
    "note_malformed": Trouble(
        "What should be a signed text is none.", "get it again from where it was made.",
        "应为签名文本的内容格式不符。", "从产生处重新获取。",
    ),
    "checkpoint_malformed": Trouble(
        "A signed text that should be a ledger checkpoint is none.", "get the checkpoint again from where it was anchored.",
        "应为账本检查点的签名文本格式不符。", "从锚定处重新获取检查点。",
    ),
    # -- the notary
    "tree_shortened": Trouble(
        "The store holds fewer leaves of a tree than were signed: the end was cut off, or an older state was restored. "
        "The tree is not signed; the others are.",
        "keep the store as it is and compare it with the anchored checkpoints; after a restore bring back what is "
        "missing from Kafka or a newer backup. It is signed again when what was signed is there again.",
        "存储中某棵树的叶子少于已签名的数量：末尾被截断，或恢复了旧状态。该树不再签名，其他树照常签名。",
        "保持存储原样，与锚定的检查点比较；恢复之后，请从 Kafka 或更新的备份补回缺失部分。已签名内容恢复后会重新签名。",
    ),
    "tree_changed": Trouble(
        "Entries or rows no longer lead to what was signed: they were changed after that. The tree is not signed; the "
        "others are.",
        "keep the store as it is; `accesstrail verify` says where it differs.",
        "账本条目或数据行与已签名的内容不再一致：签名之后被改动。该树不再签名，其他树照常签名。",
        "保持存储原样，运行 `accesstrail verify` 查看差异位置。",
    ),
    "checkpoint_fork": Trouble(
        "Two signed checkpoints of one tree and size have different roots: there is a second history.",
        "keep both checkpoints, find out who could use the signing key, and rotate it.",
        "同一棵树、同一大小有两个签名的检查点且根不同：存在第二份历史。",
        "保留两个检查点，查明谁能使用签名密钥，并轮换密钥。",
    ),
    "checkpoint_forged": Trouble(
        "The store or a file anchor holds a checkpoint that none of the public keys has signed; it is passed over.",
        "look who may write there, and whether [ledger] public_keys_file lists every key that ever signed.",
        "存储或文件锚点中有一个检查点不是由任何公钥对应的密钥签名；已跳过。",
        "查明谁可以写入该处，以及 [ledger] public_keys_file 是否列出了所有曾用的密钥。",
    ),
    "anchor_age": Trouble(
        "An anchor lacks a checkpoint for too long: what was written since then is proved by the store and the other "
        "anchors alone.",
        "`accesstrail status` names the anchor and its last failure; what is missing follows by itself.",
        "某个锚点缺少检查点的时间过长：此后写入的内容只能由存储和其他锚点证明。",
        "`accesstrail status` 会指出该锚点及其最近一次失败；缺失部分会自动补上。",
    ),
    "anchor_disk": Trouble(
        "The file of an anchor cannot be written.", "look at its folder's rights and space.",
        "锚点文件无法写入。", "检查所在目录的权限与空间。",
    ),
    "witness_refused": Trouble(
        "A witness does not sign our checkpoint: it saw another history of this tree, does not know our key, or the "
        "proof did not convince it.",
        "compare the witness's memory with the store before anything else; if the key was rotated, give it the new "
        "public keys.",
        "见证方不签署我们的检查点：它见过该树的另一份历史、不认识我们的密钥，或证明未通过。",
        "首先将见证方的记录与存储比较；若刚轮换过密钥，请把新公钥交给见证方。",
    ),
    "witness_ahead": Trouble(
        "A witness has seen a larger tree than ours: something was cut off here.",
        "keep everything and compare the witness's memory with the store.",
        "见证方见过比我们更大的树：此处有内容被截断。",
        "保留一切，将见证方的记录与存储比较。",
    ),
    "witness_answer": Trouble(
        "A witness answered what nobody understands.", "see that the address is that of a C2SP tlog-witness.",
        "见证方的回答无法理解。", "确认该地址是 C2SP tlog-witness。",
    ),
    "witness_no_proof": Trouble(
        "The store's rows do not lead from what the witness saw to what was signed.",
        "`accesstrail verify` says where they differ.",
        "存储中的数据行无法从见证方所见推导到已签名的内容。",
        "运行 `accesstrail verify` 查看差异位置。",
    ),
    "cosignature_missing": Trouble(
        "A witness's answer holds no signature of its key.", "give the anchor the witness's own public key.",
        "见证方的回答中没有其密钥的签名。", "为该锚点配置见证方自己的公钥。",
    ),
    "cosignature_wrong": Trouble(
        "A witness's signature does not belong to the checkpoint.", "ask whoever runs the witness.",
        "见证方的签名与检查点不符。", "联系见证方的运维人员。",
    ),
    "model_rejected": Trouble(
        "The model cannot be used: events are stored but not scored.",
        "run `accesstrail check` and train again; the model is taken up by itself.",
        "模型无法使用：事件已存储但未评分。",
        "运行 `accesstrail check` 并重新训练，系统会自动启用。",
    ),
    "reload_failed": Trouble(
        "The changed directory or model files cannot be used: the version set that was in force stays in force.",
        "run `accesstrail check`, which names every fault, and put the files right; they are taken up by themselves.",
        "更改后的目录或模型文件无法使用：之前的版本集继续生效。",
        "运行 `accesstrail check` 查看所有问题，修正文件后系统会自动启用。",
    ),
    # -- the local stack
    "local_stack": Trouble(
        "A part of the local stack could not be started or kept.", "do what the message says; logs are in STATE/logs.",
        "本地环境的某个部分无法启动或维持。", "按提示处理；日志在 STATE/logs。",
    ),
    "start_failed": Trouble(
        "A part of the local stack did not start.", "read the last lines of its log, which the message shows.",
        "本地环境的某个部分未能启动。", "查看提示中显示的日志末尾。",
    ),
    "already_running": Trouble(
        "A local stack already runs in this state folder.", "use it, or stop it with `accesstrail down`.",
        "该状态目录中已有本地环境在运行。", "直接使用，或用 `accesstrail down` 停止。",
    ),
    "no_stack": Trouble(
        "No local stack was ever started in this folder.", "start one with `accesstrail up --state DIR`.",
        "该目录中从未启动过本地环境。", "用 `accesstrail up --state DIR` 启动。",
    ),
    "port_taken": Trouble(
        "A port is used by another program.", "choose another one with the option the message names, or none at all.",
        "端口被其他程序占用。", "用提示中的选项换一个端口，或不指定。",
    ),
    "disk_full": Trouble("The disk is full.", "make room, then start again.", "磁盘已满。", "腾出空间后重新启动。"),
    "jars_unfetched": Trouble(
        "The jars of Apache Kafka could not be fetched.",
        "connect once to Maven Central, or name a mirror in ACCESSTRAIL_MAVEN_MIRROR.",
        "无法获取 Apache Kafka 的 jar 包。",
        "联网访问一次 Maven Central，或在 ACCESSTRAIL_MAVEN_MIRROR 中指定镜像。",
    ),
    "jar_changed": Trouble(
        "A jar of Apache Kafka is not the one that was locked.",
        "remove the cached file the message names, and find out who changed it.",
        "某个 Apache Kafka jar 包与锁定的不一致。",
        "删除提示中的缓存文件，并查明是谁改动了它。",
    ),
    "java": Trouble(
        "The Java runtime of the environment cannot be run.", "make the environment again with `make env`.",
        "环境中的 Java 运行时无法启动。", "用 `make env` 重建环境。",
    ),
    "demo_silent": Trouble(
        "The demo saw no alert in time.", "read the worker's log in the state folder.",
        "演示未在规定时间内看到告警。", "查看状态目录中的 worker 日志。",
    ),
    # -- notifications
    "notification_rejected": Trouble(
        "A record of the notification topic is no notification, or holds what no channel could send.",
        "it is kept and passed over; look for another writer of the topic.",
        "通知主题中的一条记录不是有效通知，或含任何渠道都无法发送的内容。", "该记录已保留并跳过；请检查是否有其他程序写入该主题。",
    ),
    **REFUSALS,
}  # fmt: skip


def explain(code: str) -> Trouble:
    """The words for a code; one that is not listed here (a newer worker's) is said to be unknown."""
    return TROUBLES.get(code, _UNKNOWN)


_UNKNOWN = Trouble(
    "This code is not known to this version.", "look it up with the version that wrote it.",
    "本版本不认识此代码。", "用写入它的版本查询。",
)  # fmt: skip
