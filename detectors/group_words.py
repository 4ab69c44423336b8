"""A peer group in words: department and role as people say them, in English and Chinese.

Place in the flow: read by `explain`. Departments and roles are the company's own words (`actors.csv`): what is not in
the list is told as it was given, with spaces for underscores.
"""

from __future__ import annotations

from collections.abc import Mapping

from detectors.rules.rule import Text

_TYPES: Mapping[str, Text] = {
    "employee": Text("employee", "员工"),
    "contractor": Text("contractor", "外包人员"),
    "partner": Text("partner", "合作方"),
    "service": Text("service account", "服务账号"),
    "customer": Text("customer", "客户"),
    "admin": Text("administrator", "管理员"),
    "ai_agent": Text("AI agent", "智能体"),
}
_NO_GROUP = Text("of no known group", "所属群体未知")
_ENGLISH: Mapping[str, str] = {
    "crm_campaigns": "CRM campaigns", "dba": "DBA", "hr_partner": "HR partner", "it_operations": "IT operations",
    "soc_analyst": "SOC analyst", "vip_desk": "VIP desk", "it": "IT", "hr": "HR",
}  # fmt: skip
_DEPARTMENTS: Mapping[str, str] = {
    "accounting": "会计部", "analytics": "数据分析部", "audit_office": "审计部", "back_office": "后台运营部",
    "billing": "账务部", "branches": "网点", "business_development": "商务拓展部", "care": "客户关怀部",
    "case_handling": "案件处理部", "claims": "理赔部", "collections": "催收部", "compliance": "合规部",
    "contact_centre": "呼叫中心", "crm_campaigns": "客户营销部", "customer_service": "客服部",
    "data_platform": "数据平台部", "data_protection": "数据保护部", "data_team": "数据部", "debt_recovery": "清收部",
    "dispatch": "调度部", "emergency_line": "应急热线", "field_service": "现场服务部", "finance": "财务部",
    "fraud_team": "反欺诈部", "fulfilment": "履约部", "growth": "增长部", "hr": "人力资源部",
    "human_resources": "人力资源部", "information_security": "信息安全部", "internal_audit": "内部审计部",
    "it": "信息技术部",
    "it_operations": "信息技术运维部", "key_accounts": "大客户部", "legal": "法务部", "logistics": "物流部",
    "marketing": "市场部", "night_desk": "夜间服务台", "night_service": "夜间客服部", "people_team": "人力资源部",
    "platform_operations": "平台运维部", "privacy_office": "隐私保护办公室", "private_clients": "私人客户部",
    "retention": "客户挽留部", "risk": "风险部", "risk_control": "风控部", "sales": "销售部",
    "security_operations": "安全运营部", "site_reliability": "系统可靠性部", "stores": "门店", "support": "客户支持部",
    "vip_desk": "贵宾服务部",
}  # fmt: skip
_ROLES: Mapping[str, str] = {
    "account_manager": "客户经理", "accountant": "会计", "administrator": "管理员", "advisor": "顾问", "agent": "坐席",
    "analyst": "分析师", "assistant": "助手", "auditor": "审计员", "campaign_manager": "活动经理", "clerk": "文员",
    "collector": "催收员", "compliance_officer": "合规专员", "concierge": "专属管家", "consultant": "顾问",
    "controller": "财务主管", "counsel": "法律顾问", "data_engineer": "数据工程师", "dba": "数据库管理员",
    "dispatcher": "调度员", "driver_desk": "司机服务台", "engineer": "工程师", "expert": "专家",
    "field_lead": "现场组长",
    "handler": "经办人", "hr_partner": "人事伙伴", "investigator": "调查员", "lead_auditor": "主任审计员",
    "night_agent": "夜班坐席", "operator": "运维员", "paralegal": "法务助理", "partner_agent": "合作方坐席",
    "planner": "计划员", "privacy_officer": "隐私专员", "recruiter": "招聘专员", "relationship_manager": "客户关系经理",
    "representative": "客服代表", "sales_lead": "销售主管", "security_engineer": "安全工程师",
    "senior_agent": "高级坐席",
    "senior_analyst": "高级分析师", "senior_consultant": "高级顾问", "senior_engineer": "高级工程师",
    "senior_handler": "高级经办人", "service": "服务账号", "shift_lead": "值班长", "shop_assistant": "店员",
    "shop_manager": "店长", "soc_analyst": "安全分析师", "specialist": "专员", "supervisor": "主管",
    "team_lead": "组长",
    "technician": "技术员",
}  # fmt: skip


def group_in_words(group: str) -> Text:
    """A peer group's name ("department/role" or "type:<actor type>") for a sentence."""
    if group.startswith("type:"):
        return _TYPES.get(group.removeprefix("type:"), _NO_GROUP)
    department, _, role = group.partition("/")
    named = [(part, words) for part, words in ((department, _DEPARTMENTS), (role, _ROLES)) if part.strip("_ ")]
    if not named:
        return _NO_GROUP
    return Text(
        ", ".join(_ENGLISH.get(part, _plain(part)) for part, _ in named),
        "，".join(_translated(part, words) for part, words in named),
    )


def _translated(part: str, words: Mapping[str, str]) -> str:
    """A listed word, also where it carries a number ("stores_2"); anything else as it was given."""
    stem, _, number = part.rpartition("_")
    if part in words or not (number.isdecimal() and stem in words):
        return words.get(part, _plain(part))
    return f"{words[stem]} {number}"


def _plain(part: str) -> str:
    return part.replace("_", " ").strip()
