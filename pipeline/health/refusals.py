"""Codes with which a command or a page refuses somebody, explained in English and Chinese.

Place in the flow: part of `troubles.py`, which holds the codes of what runs; look codes up there. Reading, accounts,
incidents, the console's forms, Grafana.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one code means and what to do; plain sentences, no names of people or payload."""

    meaning: str
    next_step: str
    meaning_zh: str
    next_step_zh: str

    @property
    def english(self) -> str:
        """One text for an alert row."""
        return f"{self.meaning} Next: {self.next_step}"

    @property
    def chinese(self) -> str:
        """The same in Chinese."""
        return f"{self.meaning_zh}下一步：{self.next_step_zh}"


REFUSALS: Mapping[str, Trouble] = {
    # -- reading
    "bad_search": Trouble(
        "A search cannot be asked: a token, a period or a word is none.", "correct what the message names.",
        "检索条件无效：假名、时间或取值有误。", "更正提示中指出的内容。",
    ),
    "masked_text": Trouble(
        "The words of a search hold a number or an address of a person, which stored texts have masked.",
        "look for the person as a data subject or an account, or for words around the number.",
        "检索文字中含个人号码或邮箱，而存储的文字已脱敏。",
        "改为按个人信息主体或账号检索，或检索号码前后的文字。",
    ),
    "text_forgotten": Trouble(
        "The words of a search are known only to the session that typed them.",
        "search again.",
        "检索的文字仅保存在输入它的会话中。",
        "重新检索。",
    ),
    "bad_cursor": Trouble(
        "The address of a search's page was cut or changed.", "search again.",
        "检索页的网址不完整或被改动。", "重新检索。",
    ),
    "bad_field": Trouble(
        "A field of a form holds something that it may not.", "correct what the message names.",
        "表单中有字段的内容无效。", "更正提示中指出的内容。",
    ),
    "no_model": Trouble(
        "No model is in force, so nothing can alert.", "train a model and put it in force: see docs/guides/models.md.",
        "没有启用的模型，不会产生告警。", "训练并启用模型，参见 docs/guides/models.md。",
    ),
    # -- accounts
    "forbidden": Trouble(
        "The account may not do this, or a second person is missing.",
        "ask an account with the role admin for the role the message names, or the second person for their token.",
        "该账户无权执行此操作，或缺少第二人。", "请 admin 角色授予提示中的角色，或由第二人提供令牌。",
    ),
    "no_accounts": Trouble(
        "This system has no accounts yet.", "make the first one with `accesstrail users add NAME --first`.",
        "系统尚无账户。", "用 `accesstrail users add NAME --first` 建立第一个账户。",
    ),
    "extra_missing": Trouble(
        "A part that is installed only where it is wanted is missing here.",
        "install it as the message says; the report is also made as Markdown and JSON without it.",
        "此处未安装某个可选组件。", "按提示安装；不安装时仍可生成 Markdown 与 JSON 格式的报告。",
    ),
    "legal_hold": Trouble(
        "A legal hold keeps what should be erased.", "look with `accesstrail hold list`; another person may release it.",
        "法律保全禁止删除相关内容。", "用 `accesstrail hold list` 查看；可由另一人解除。",
    ),
    "not_signed_yet": Trouble(
        "Rows that are to be exported are behind no signed checkpoint yet.",
        "wait a second; if it lasts, see in `accesstrail status` whether the notary runs.",
        "待导出的记录尚无签名检查点覆盖。", "稍等一秒；若持续，请用 `accesstrail status` 查看公证进程是否运行。",
    ),
    "export_large": Trouble(
        "One person would take out more accesses at once than one person may.",
        "choose a shorter period; more takes two people and `accesstrail evidence export`.",
        "一人一次导出的访问记录超过上限。", "请缩短期间；更多须由两人使用 `accesstrail evidence export`。",
    ),
    "export_busy": Trouble(
        "A bundle of evidence is being made already, and the console makes one at a time.", "try again in a minute.",
        "控制台正在生成另一个证据包，一次只能生成一个。", "请一分钟后再试。",
    ),
    "draft_failed": Trouble(
        "The draft of a bundle could not be written into the state folder.",
        "look at the space and the rights of that folder.",
        "无法在状态目录中写入证据包草稿。", "检查该目录的剩余空间与权限。",
    ),
    "report_large": Trouble(
        "A subject report would hold more accesses than one may.", "give a shorter period.",
        "个人信息访问报告所含访问次数超过上限。", "请缩短期间。",
    ),
    "report_late": Trouble(
        "The evidence of a subject report takes longer to read than somebody waits at a page.",
        "choose a shorter period, or use `accesstrail subject-report`.",
        "个人信息访问报告所需证据无法即时读取。", "请缩短期间，或使用 `accesstrail subject-report`。",
    ),
    "nothing_found": Trouble(
        "There is no access that answers the question.", "check the id, its kind and the times.",
        "没有符合条件的访问记录。", "检查标识、其类型和时间范围。",
    ),
    "short_reason": Trouble(
        "A look or change like this needs a reason.", "say why with --reason, in a few words.",
        "此类查阅或变更必须说明理由。", "用 --reason 简要说明理由。",
    ),
    "too_many_reveals": Trouble(
        "One person has revealed as many identities as one person may within an hour.",
        "wait, or let two people do it together.",
        "同一人一小时内还原的身份已达上限。", "请等待，或由两人共同操作。",
    ),
    "look_quota": Trouble(
        "The account has looked at as much evidence as one account may in a day.",
        "ask for less, go on tomorrow, or have looks_per_day or rows_per_day in [audit] raised.",
        "该账户今日查阅的证据已达上限。", "请缩小范围或明日继续，或提高 [audit] 中的 looks_per_day、rows_per_day。",
    ),
    "retention_runs": Trouble(
        "Another run of retention is under way.", "run it again when that has ended; nothing was deleted twice.",
        "另一次保存期清理正在进行。", "待其结束后再运行；不会重复删除。",
    ),
    "vault_damaged": Trouble(
        "What is kept of an identity cannot be opened: another key, or it was changed.",
        "check [protection] vault_keys_file; a changed row comes back from a backup of the database accesstrail_vault.",
        "保险库中的身份无法打开：密钥不符或内容被改动。",
        "检查 [protection] vault_keys_file；被改动的行可从 accesstrail_vault 数据库的备份恢复。",
    ),
    "bundle_malformed": Trouble(
        "A bundle of evidence, or a part of it, does not have the form of one.",
        "get it again from whoever exported it, and compare the manifest's SHA-256.",
        "证据包或其部分内容的格式不符。", "请向导出者重新获取，并核对 manifest 的 SHA-256。",
    ),
    "no_token": Trouble(
        "The command does not know who asks.", "give --token-file FILE or set ACCESSTRAIL_TOKEN_FILE.",
        "命令不知道由谁发起。", "提供 --token-file FILE，或设置 ACCESSTRAIL_TOKEN_FILE。",
    ),
    "token_refused": Trouble(
        "A personal token is unknown, expired or revoked, or its account is disabled.",
        "make another one with `accesstrail users token NAME --out FILE`.",
        "个人令牌未知、过期或已吊销，或其账户已停用。", "用 `accesstrail users token NAME --out FILE` 重新生成。",
    ),
    "login_refused": Trouble(
        "Name, password or one-time code is wrong, or the account is disabled.",
        "try again with a fresh code; an account with the role admin can reset the password.",
        "名称、密码或动态口令有误，或账户已停用。", "换新口令重试；admin 角色可重置密码。",
    ),
    "login_locked": Trouble(
        "Too many wrong passwords or codes: the account waits.",
        "wait as long as the message says; if it was not you, tell the security team.",
        "密码或口令错误次数过多，账户暂时锁定。", "按提示时间等待；若非本人操作，请通知安全团队。",
    ),
    "separation_of_duties": Trouble(
        "One account may not hold these roles together.", "give them to different people.",
        "同一账户不得同时拥有这些角色。", "请分配给不同的人。",
    ),
    "account_name": Trouble(
        "An account may not have this name: 2 to 32 of a-z, digits, '.', '_' and '-', a letter first, none reserved.",
        "choose another one.",
        "账户名不符合要求：2 至 32 个字符，限 a-z、数字、“.”、“_”、“-”，以字母开头，且不得为保留名称。", "另选名称。",
    ),
    "accounts_exist": Trouble(
        "This system has accounts already: the first one can be made only once.", "sign in with an account.",
        "系统已有账户：首个账户只能创建一次。", "请使用已有账户登录。",
    ),
    "password_length": Trouble(
        "A password has 12 to 1,024 characters.", "choose a longer one, a sentence is good.",
        "密码须为 12 至 1,024 个字符。", "请使用更长的密码，可用一句话。",
    ),
    "password_weak": Trouble(
        "The password repeats few characters or holds the account's name.", "choose another one.",
        "密码重复字符过多，或包含账户名。", "请另选密码。",
    ),
    "password_unchanged": Trouble(
        "The new password is the old one.", "choose another one.", "新密码与当前密码相同。", "请另选密码。",
    ),
    "totp_wrong": Trouble(
        "The one-time code is wrong.", "set the app's clock right and type the newest code.",
        "动态口令有误。", "请校准验证器应用所在设备的时间，并输入最新口令。",
    ),
    "totp_not_begun": Trouble(
        "No second factor is being enrolled.", "sign in again and begin anew.",
        "当前没有正在设置的第二因素。", "请重新登录后再设置。",
    ),
    "second_person_same": Trouble(
        "This takes two people, and the second one is who asks.", "ask somebody else.",
        "此操作需要两人，第二人不能是申请人本人。", "请由另一人确认。",
    ),
    "second_person_role": Trouble(
        "This takes two people, and the second one lacks the role for it.", "ask somebody whose role may second it.",
        "此操作需要两人，第二人的角色无权确认。", "请由具备相应角色的人确认。",
    ),
    "accounts_busy": Trouble(
        "Another command is changing accounts.", "try again.", "另一条命令正在修改账户。", "稍后重试。",
    ),
    "no_channel": Trouble(
        "There is no channel of that name.", "look at `accesstrail notify channels`.",
        "没有该名称的渠道。", "见 `accesstrail notify channels`。",
    ),
    "grafana_url": Trouble(
        "The address of Grafana cannot be used.", "give https://HOST in [grafana] url, plain http to 127.0.0.1 only.",
        "Grafana 地址不可用。", "在 [grafana] url 中填写 https://HOST；http 仅限 127.0.0.1。",
    ),
    "grafana_token": Trouble(
        "Grafana does not know the token, or its file cannot be read.",
        "make a service account's token and put it into [grafana] token_file, mode 0600.",
        "Grafana 不认识该令牌，或令牌文件不可读。", "创建服务账号令牌，存入 [grafana] token_file，权限 0600。",
    ),
    "grafana_role": Trouble(
        "The token may not do that in Grafana.", "give its service account the role Admin.",
        "该令牌在 Grafana 中无此权限。", "为其服务账号授予 Admin 角色。",
    ),
    "grafana_version": Trouble(
        "Grafana is too old, or does not tell its version.", "upgrade it to 11.6 or newer; check [grafana] url.",
        "Grafana 版本过旧或未告知版本。", "升级到 11.6 以上；检查 [grafana] url。",
    ),
    "grafana_not_there": Trouble(
        "Grafana has nothing under that name.", "publish again with `accesstrail dashboards publish`.",
        "Grafana 中没有该对象。", "重新执行 `accesstrail dashboards publish`。",
    ),
    "grafana_conflict": Trouble(
        "Somebody else changed it in Grafana, or provisioning files own it.",
        "look with `accesstrail dashboards diff`, then publish again.",
        "他人已在 Grafana 中改动，或由配置文件管理。", "先执行 `accesstrail dashboards diff`，再重新发布。",
    ),
    "grafana_refused": Trouble(
        "Grafana refuses what was sent.", "read Grafana's log.", "Grafana 拒绝了所发内容。", "查看 Grafana 日志。",
    ),
    "grafana_garbage": Trouble(
        "What answers there is no Grafana.", "check [grafana] url, and what stands in between.",
        "应答方不是 Grafana。", "检查 [grafana] url 及中间设备。",
    ),
    "grafana_tls": Trouble(
        "The certificate of Grafana is not trusted.", "check the address, or name the authority in [grafana] ca_file.",
        "Grafana 证书不受信任。", "检查地址，或在 [grafana] ca_file 中指定证书机构。",
    ),
    "grafana_slow": Trouble(
        "Grafana does not answer in time.", "try again.", "Grafana 未及时应答。", "稍后重试。",
    ),
    "grafana_away": Trouble(
        "Grafana does not answer.", "check that it runs, and [grafana] url.",
        "Grafana 无应答。", "检查其是否运行及 [grafana] url。",
    ),
    "grafana_busy": Trouble(
        "Grafana cannot serve now.", "try again; else read its log.", "Grafana 暂时无法服务。", "稍后重试，或查看其日志。",
    ),
    "not_verified": Trouble(
        "Rows whose time is over were not deleted, since the evidence around them does not verify.",
        "run `accesstrail verify --store` and find out who changed it.",
        "保存期届满的记录未删除：其所在的证据未通过校验。", "运行 `accesstrail verify --store`，并查明改动来源。",
    ),
    "not_sealed": Trouble(
        "A run of retention is announced, but its access event is not in the evidence yet.",
        "check that a worker runs, then run it again.",
        "保存期删除已登记，但其访问事件尚未写入证据。", "确认 worker 正在运行，然后重新执行。",
    ),
    "error": Trouble(
        "Something failed that has no code of its own.", "read the message.", "发生了没有专属代码的错误。", "阅读提示信息。",
    ),
}  # fmt: skip
