"""Board `partners`: what partners do with our customers' data, to whom data goes, and what leaves the country."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Threshold, Words
from dashboards.panels.sql import ABROAD, NO_TOKEN, RECORDS, SERIES_ROWS, UNMASKED, accesses, hexed, series
from dashboards.panels.terms import ACTOR_LABEL, columns, over_time, value

_PARTNER = "actor_type = 'partner'"
_ELSEWHERE = "src_country != '' AND subject_region != '' AND NOT startsWith(upper(subject_region), upper(src_country))"
_BARE = f"{ABROAD} AND (legal_basis = '' OR approval_token = {NO_TOKEN})"

PARTNERS = Panel(
    uid="partners",
    title=Words("Partners", "合作方"),
    question=Words("What did each partner take?", "各合作方获取了什么？"),
    decision=Words("More than the contract: throttle or suspend the interface, ask the partner.", "超出合同：限流或暂停接口并询问对方。"),
    sql=(
        "SELECT actor_org AS organisation, count() AS accesses, uniqExact(actor_token) AS actors, "
        f"uniqExactArray(subject_tokens) AS subjects, sum({RECORDS}) AS records, countIf(outcome = 'denied') AS denied, "
        f"countIf({UNMASKED}) AS unmasked, max(event_time) AS last_at {accesses(_PARTNER)} "
        "GROUP BY organisation ORDER BY records DESC, organisation LIMIT 50"
    ),
    view="table",
    columns=columns(
        "organisation", "accesses", "actors", "subjects", "records", "denied", "unmasked", "last_at",
    ),
    empty=Words("No partner accessed anything.", "合作方无访问。"),
    width=12,
    max_rows=50,
)  # fmt: skip

VOLUME = Panel(
    uid="volume",
    title=Words("Records handed to partners", "向合作方提供的记录数"),
    question=Words("When did a partner take more than usual?", "合作方何时获取量异常？"),
    decision=Words(
        "At night or in a plateau: a machine is emptying the interface; suspend it.",
        "夜间或持续高位：接口被程序抓取，应暂停。",
    ),
    sql=series("event_time", "actor_org", f"sum({RECORDS})", accesses(_PARTNER)),
    view="timeseries",
    columns=over_time("Records", "记录数"),
    max_rows=SERIES_ROWS,
)

ACCOUNTS = Panel(
    uid="accounts",
    title=Words("Partner accounts by persons", "合作方账号（按涉及人数）"),
    question=Words("Which partner account touched the most persons?", "哪个合作方账号涉及人数最多？"),
    decision=Words("Open the actor; lock the account while the partner explains.", "查看账号；对方说明前先锁定。"),
    sql=(
        "SELECT lower(hex(actor_token)) AS label, uniqExactArray(subject_tokens) AS value "
        f"{accesses(_PARTNER)} GROUP BY actor_token HAVING value > 0 ORDER BY value DESC, label LIMIT 15"
    ),
    view="bars",
    columns=(ACTOR_LABEL, value("Persons", "涉及人数")),
    max_rows=15,
)

RECIPIENTS = Panel(
    uid="recipients",
    title=Words("Recipients outside", "外部接收方"),
    question=Words("To whom outside did data go, and how much?", "数据提供给哪些外部接收方，多少？"),
    decision=Words(
        "Check each against the register of recipients; an unknown one is an incident.",
        "与接收方登记核对；未登记者按事件处理。",
    ),
    sql=(
        f"SELECT {hexed('recipient_token')} AS recipient, toString(recipient_type) AS recipient_kind, "
        f"dst_country AS country, count() AS accesses, uniqExactArray(subject_tokens) AS subjects, "
        f"sum({RECORDS}) AS records, max(event_time) AS last_at "
        + accesses("recipient_type IN ('partner', 'external', 'public')")
        + " GROUP BY recipient_token, recipient_type, "
        "country ORDER BY records DESC, recipient, recipient_kind, country LIMIT 50"
    ),
    view="table",
    columns=columns("recipient", "recipient_kind", "country", "accesses", "subjects", "records", "last_at"),
    empty=Words("Nothing went to anybody outside.", "无对外提供。"),
    width=12,
    max_rows=50,
)

UNCOVERED = Panel(
    uid="abroad-uncovered",
    title=Words("Sent abroad without basis or approval", "无依据或审批的出境"),
    question=Words("Did anything leave the country uncovered?", "是否有无依据的数据出境？"),
    decision=Words(
        "Any: stop the transfer and check the duty to report (PIPL 38–40).",
        "如有：停止传输并核查报告义务（个保法第38–40条）。",
    ),
    sql=f"SELECT count() AS value {accesses(_BARE)} LIMIT 1",
    view="stat",
    columns=(value("Accesses", "访问次数"),),
    thresholds=(Threshold(0, "good"), Threshold(1, "bad")),
    width=3,
    max_rows=1,
)

ABROAD_BY_COUNTRY = Panel(
    uid="abroad",
    title=Words("Data that went abroad", "数据出境"),
    question=Words("Whose data went to which country, on which basis?", "哪些人的数据到了哪个国家/地区，依据为何？"),
    decision=Words(
        "Count towards the yearly limits; file an assessment before they are reached.",
        "计入年度数量；达到限额前申报评估。",
    ),
    sql=(
        "SELECT dst_country AS country, toString(legal_basis) AS basis, count() AS accesses, "
        f"uniqExactArray(subject_tokens) AS subjects, sum({RECORDS}) AS records, "
        f"countIf(approval_token = {NO_TOKEN}) AS unapproved {accesses(ABROAD)} GROUP BY country, basis "
        "ORDER BY subjects DESC, records DESC, country, basis LIMIT 50"
    ),
    view="table",
    columns=columns("country", "basis", "accesses", "subjects", "records", "unapproved"),
    empty=Words("Nothing went abroad.", "无数据出境。"),
    width=9,
    max_rows=50,
)

FROM_ELSEWHERE = Panel(
    uid="from-abroad",
    title=Words("Looked at from another country", "境外访问"),
    question=Words("From which countries was our customers' data looked at?", "从哪些国家/地区访问了客户数据？"),
    decision=Words(
        "Access from abroad is a transfer too: allow the place, or block it.", "境外访问亦属出境：许可或阻断该地。"
    ),
    sql=(
        "SELECT src_country AS country, toString(actor_type) AS kind, count() AS accesses, "
        "uniqExact(actor_token) AS actors, uniqExactArray(subject_tokens) AS subjects, max(event_time) AS last_at "
        f"{accesses(_ELSEWHERE)} GROUP BY country, kind ORDER BY accesses DESC, country, kind LIMIT 50"
    ),
    view="table",
    columns=columns("country", "kind", "accesses", "actors", "subjects", "last_at"),
    empty=Words("Nobody accessed from another country.", "无境外访问。"),
    width=12,
    max_rows=50,
)

BOARD = Board(
    uid="partners",
    title=Words("Partners and cross-border", "合作方与出境"),
    about=Words(
        "What partners do with customers' data, to whom it goes, and what leaves the country.",
        "合作方如何使用客户数据、数据提供给谁、哪些出境。",
    ),
    panels=(PARTNERS, VOLUME, ACCOUNTS, RECIPIENTS, UNCOVERED, ABROAD_BY_COUNTRY, FROM_ELSEWHERE),
    range_s=7 * 86_400,
    refresh_s=300,
)
