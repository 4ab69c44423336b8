"""The one matrix of roles and actions, what may not be in one hand, and what takes two people.

Place in the flow: beside it; every command and page asks here, and docs/reference/permissions.md is generated from here.
Separation of duties follows 三权分立 (operate, secure, audit) of GB/T 22239-2019 level 3 and ISO/IEC 27001 A.5.3:
who runs the system does not investigate with it, who investigates does not judge the investigation, and who hands out
roles holds no other one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pipeline.errors import Forbidden, UsageError


@dataclass(frozen=True, slots=True)
class Role:
    """What a role is for, in one line of each language. `duty`: operate, secure, audit or grant."""

    duty: str
    english: str
    chinese: str


ROLES: Mapping[str, Role] = {
    "operator": Role("operate", "Runs and configures the system.", "运行并配置系统。"),
    "soc": Role("secure", "Sees incidents, acknowledges, assigns, comments, resolves.", "查看、确认、分派、评论并关闭事件。"),
    "responder": Role("secure", "As soc, and contains and suspects breaches.", "在 soc 之上，可实施遏制、上报疑似泄露。"),
    "analyst": Role("operate", "Keeps models, rules and exceptions.", "维护模型、规则与例外。"),
    "auditor": Role("audit", "Reads evidence and exports it; changes nothing.", "查阅并导出证据，不作任何变更。"),
    "dpo": Role("secure", "Reveals identities, answers subjects, decides on breaches.", "还原身份、答复个人请求、决定泄露处置。"),
    "admin": Role("grant", "Keeps accounts and roles; sees no evidence.", "管理账户与角色，不接触证据。"),
}  # fmt: skip

NEVER, ALWAYS, IF_CONFIGURED = "never", "always", "if configured"


@dataclass(frozen=True, slots=True)
class Action:
    """Who may do something. `second`: whether it takes two people; `seconders`: roles of whom the other has one."""

    roles: tuple[str, ...]
    english: str
    chinese: str
    second: str = NEVER
    seconders: tuple[str, ...] = ()


_HANDLING, _READING = ("soc", "responder"), ("soc", "responder", "analyst", "auditor", "dpo")

ACTIONS: Mapping[str, Action] = {
    # operate
    "run_system": Action(("operator",), "Start and stop the stack, workers, scheduler.", "启停系统及各进程。"),
    "configure_system": Action(("operator",), "Configuration, topics, schema, channels.", "配置、主题、库表、渠道。"),
    "test_channel": Action(("operator", "soc", "responder"), "Send a test message to a channel.", "向渠道发送测试消息。"),
    "ingest_events": Action(("operator",), "Send recorded events to the log.", "导入历史访问事件。"),
    "run_retention": Action(("operator",), "Delete what has had its time.", "删除保存期届满的数据。"),
    "plan_retention": Action(("operator", "auditor", "dpo"), "See what has had its time.", "查看保存期届满的数据。"),
    "read_status": Action(tuple(ROLES), "See what runs and how far it is.", "查看运行状态。"),
    "verify_ledger": Action(("operator", "auditor"), "Check the ledger; no event is shown.", "校验账本，不显示事件内容。"),
    "manage_models": Action(("analyst",), "Train, sign, put in force, go back.", "训练、签名、启用、回退模型。"),
    "manage_rules": Action(("analyst",), "Try rules, put other ones in force.", "试跑并启用规则。"),
    "manage_exceptions": Action(("analyst",), "Make and end exceptions.", "新增与结束例外。"),
    "change_versions": Action(("analyst",), "Version sets and the alert threshold.", "版本集与告警阈值。"),
    "rotate_token_key": Action(("operator",), "Let another key make pseudonyms.", "更换生成假名的密钥。"),
    # secure
    "read_incidents": Action(_READING, "See incidents and alerts.", "查看事件与告警。"),
    "search_evidence": Action(_READING, "Search accesses; identities stay tokens.", "检索访问记录，身份保持假名。"),
    "acknowledge_incident": Action(_HANDLING, "Acknowledge an incident.", "确认事件。"),
    "assign_incident": Action(_HANDLING, "Give an incident to somebody.", "分派事件。"),
    "comment_incident": Action(_HANDLING, "Write a comment.", "添加评论。"),
    "resolve_incident": Action(_HANDLING, "Close an incident with a verdict; reopen it.", "附结论关闭事件，或重新打开。"),
    "link_incident": Action(_HANDLING, "Link, unlink and merge incidents.", "关联、取消关联、合并事件。"),
    "contain_actor": Action(
        ("responder",), "Have an account blocked for a time.", "限时封禁账户。", IF_CONFIGURED, ("responder", "dpo")
    ),
    "suspect_breach": Action(("responder", "dpo"), "Say that a breach is suspected.", "认定疑似泄露。"),
    "complete_breach_duty": Action(("dpo",), "Record that a recipient was told.", "登记已完成的报告或通知。"),
    "waive_breach_duty": Action(
        ("dpo",), "Decide not to tell a recipient, with reason.", "附理由决定不报告某接收方。", ALWAYS, ("dpo", "responder")
    ),
    "close_breach_unnotified": Action(
        ("dpo",), "Close a suspected breach without notifying.", "不作通知而结束疑似泄露。", ALWAYS, ("dpo", "responder")
    ),
    "see_masked_identity": Action(
        ("soc", "responder", "auditor", "dpo"),
        "See part of one identity, as the role's mask has it.", "按角色的脱敏规则查看一个身份的部分内容。",
    ),
    "reveal_identity": Action(("dpo",), "Reveal one identity, with reason.", "附理由还原一个身份。"),
    "reveal_identities": Action(
        ("dpo",), "Reveal more than one identity.", "还原一个以上身份。", ALWAYS, ("dpo", "responder")
    ),
    "erase_identity": Action(("dpo",), "Erase an identity from the vault, with reason.", "附理由从身份保险库删除一个身份。"),
    "subject_report": Action(("dpo",), "Answer a person who asks who looked.", "答复个人关于查阅记录的请求。"),
    "report_actors": Action(
        ("dpo",), "Name accounts in such an answer.", "在答复中列出账户。", ALWAYS, ("dpo", "responder")
    ),
    "place_hold": Action(("responder", "dpo"), "Place a legal hold: nothing it covers is deleted.", "设置法律保全，范围内不得删除。"),
    "release_hold": Action(("dpo",), "Release a legal hold that somebody else has placed.", "解除由他人设置的法律保全。"),
    "read_holds": Action((*_READING, "operator"), "See legal holds.", "查看法律保全。"),
    # audit
    "query_evidence": Action(("auditor", "analyst"), "Read-only SQL over the views.", "对视图执行只读 SQL。"),
    "export_evidence": Action(("auditor",), "Export the evidence of one case.", "导出单一案件的证据。"),
    "export_incident": Action(
        ("responder", "dpo", "auditor"), "Export one incident's timeline.", "导出单一事件的全过程记录。"
    ),
    "export_bulk": Action(("auditor",), "Export evidence in bulk.", "批量导出证据。", ALWAYS, ("auditor", "dpo")),
    "audit_report": Action(("auditor",), "Make the audit report of a period.", "生成期间审计报告。"),
    "read_account_changes": Action(("auditor", "admin"), "See accounts and their history.", "查看账户及其变更历史。"),
    # grant
    "manage_accounts": Action(("admin",), "Make, disable, enable accounts; new passwords.", "新建、停用、启用账户，重置密码。"),
    "manage_roles": Action(("admin",), "Give and take roles, never one's own.", "授予与收回角色（不含本人）。"),
    "manage_own_account": Action(tuple(ROLES), "One's own password, TOTP, tokens.", "管理本人的密码、动态口令、令牌。"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two roles that one account may not hold, and why."""

    first: str
    second: str
    english: str
    chinese: str


_OF_AUDIT = ("An auditor judges the work of every other role.", "审计员监督其他所有角色的工作。")
_OF_GRANT = ("Who hands out roles could give themselves any look or change.", "授权者兼任他职即可自行取得任何权限。")
_OF_RUNNING = ("Who runs the system could switch off what is looked into.", "运行系统者可关闭正在被调查的内容。")
_OF_REVEALING = ("Who may reveal identities does not work with the pseudonyms.", "可还原身份者不处理假名数据。")

CONFLICTS: tuple[Conflict, ...] = (
    *(Conflict("auditor", other, *_OF_AUDIT) for other in ("operator", "soc", "responder", "analyst", "dpo", "admin")),
    *(Conflict("admin", other, *_OF_GRANT) for other in ("operator", "soc", "responder", "analyst", "dpo")),
    *(Conflict("operator", other, *_OF_RUNNING) for other in ("soc", "responder", "dpo")),
    *(Conflict("dpo", other, *_OF_REVEALING) for other in ("soc", "responder", "analyst")),
)


def may(roles: Collection[str], action: str) -> bool:
    """Whether one of the roles allows the action. Raises: KeyError: there is no such action, our own bug."""
    return not set(roles).isdisjoint(ACTIONS[action].roles)


def conflicts_in(roles: Collection[str]) -> tuple[Conflict, ...]:
    """Every pair among the roles that may not be in one hand."""
    return tuple(one for one in CONFLICTS if one.first in roles and one.second in roles)


def refuse_conflicts(roles: Collection[str]) -> None:
    """Raises: UsageError `separation_of_duties`: the roles hold a pair that may not be in one hand."""
    found = conflicts_in(roles)
    if found:
        pairs = "; ".join(f"{one.first} with {one.second}: {one.english}" for one in found)
        raise UsageError(f"one account may not hold these roles together. {pairs}", code="separation_of_duties")


def require(name: str, roles: Collection[str], action: str) -> None:
    """Raises: Forbidden: says which role is needed and who can grant it."""
    if may(roles, action):
        return
    needed = " or ".join(ACTIONS[action].roles)
    held = ", ".join(sorted(roles)) or "none"
    raise Forbidden(
        f"{name} may not do this ({action}): it needs the role {needed}, and the account holds {held}. "
        f"An account with the role admin can grant it: accesstrail users roles {name} --grant {ACTIONS[action].roles[0]}"
    )


def needs_second_person(action: str, configured: Iterable[str] = ()) -> bool:
    """Whether the action takes two people; `configured`: actions for which the deployment asks it where it may."""
    second = ACTIONS[action].second
    return second == ALWAYS or (second == IF_CONFIGURED and action in set(configured))


def require_second(action: str, first: str, second: str, second_roles: Collection[str]) -> None:
    """Checks the other person of a two-person action.

    Raises: Forbidden: the same account twice, or one that may not second this.
    """
    if first == second:
        raise Forbidden(
            f"{action} takes two people: {second} cannot second what it asked for itself", code="second_person_same"
        )
    seconders = ACTIONS[action].seconders
    if set(second_roles).isdisjoint(seconders):
        raise Forbidden(
            f"{second} cannot second {action}: that takes the role {' or '.join(seconders) or 'of nobody'}",
            code="second_person_role",
        )
