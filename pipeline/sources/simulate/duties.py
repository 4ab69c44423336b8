"""Kinds of business and kinds of department: the material that companies are drawn from, as data."""

from __future__ import annotations

from dataclasses import dataclass

SLOTS = ("profile", "order", "payment", "contact", "special", "lead")
TRADES: dict[str, tuple[str, str, str, str, str, str]] = {
    "retail": ("customer_profile", "order", "payment", "address", "chat_log", "lead"),
    "bank": ("customer_profile", "transaction", "bank_account", "address", "credit_report", "lead"),
    "telecom": ("subscriber", "service_order", "payment", "address", "location_trace", "lead"),
    "insurer": ("policyholder", "policy", "claim_payment", "address", "health_record", "lead"),
    "clinic": ("patient", "appointment", "payment", "address", "medical_record", "lead"),
    "travel": ("traveller", "booking", "payment", "address", "passport", "lead"),
    "platform": ("member", "order", "payment", "address", "device", "lead"),
}
"""Trade → what its profile, order, payment, contact, special and lead records are called."""


@dataclass(frozen=True, slots=True)
class Duty:
    """One kind of department. Ranges are drawn from; `slots`: what it works with, most common first.

    `jobs`: kinds of work and their weights; `needed`: in every company.
    """

    names: tuple[str, ...]
    roles: tuple[tuple[str, ...], ...]
    share: tuple[float, float]
    shifts: tuple[str, ...]
    hours: tuple[int, int]
    cases: tuple[int, int]
    jobs: tuple[tuple[str, float], ...]
    slots: tuple[str, ...]
    system: str
    purpose: str
    weekend: float
    discipline: tuple[float, float]
    unmask: tuple[float, float]
    home: tuple[float, float]
    needed: bool = False


_ALL = (0.3, 0.98)
DUTIES: dict[str, Duty] = {
    "service": Duty(
        ("customer_service", "support", "contact_centre", "care"),
        (("agent", "senior_agent", "team_lead"), ("advisor", "expert", "supervisor"), ("representative",)),
        (0.2, 0.5), ("day", "rotating", "seven"), (9, 18), (9, 22),
        (("case", 0.94), ("list", 0.04), ("print", 0.01), ("refused", 0.01)),
        ("profile", "order", "profile"), "crm", "support", 0.35, (0.5, 0.98), (0.03, 0.5), (0.0, 0.5), True,
    ),
    "night": Duty(
        ("night_service", "night_desk", "emergency_line"), (("agent",), ("night_agent", "shift_lead")),
        (0.03, 0.12), ("night",), (21, 6), (6, 16), (("case", 0.98), ("refused", 0.02)),
        ("profile", "order"), "crm", "support", 0.6, (0.45, 0.98), (0.03, 0.5), (0.0, 0.3),
    ),
    "sales": Duty(
        ("sales", "business_development", "key_accounts"),
        (("account_manager", "sales_lead"), ("consultant", "senior_consultant")),
        (0.06, 0.25), ("day",), (9, 19), (5, 14),
        (("portfolio", 0.9), ("create", 0.05), ("share_partner", 0.01), ("report", 0.01), ("print", 0.03)),
        ("profile", "lead", "order"), "crm", "sales", 0.1, _ALL, (0.02, 0.25), (0.1, 0.6),
    ),
    "finance": Duty(
        ("finance", "accounting", "billing"), (("accountant", "controller"), ("clerk", "accountant")),
        (0.04, 0.1), ("day",), (9, 18), (5, 12), (("case", 0.85), ("report", 0.06), ("download", 0.05), ("list", 0.04)),
        ("payment", "order"), "billing", "billing", 0.02, _ALL, (0.1, 0.5), (0.0, 0.4), True,
    ),
    "fraud": Duty(
        ("risk", "fraud_team", "risk_control"), (("analyst", "senior_analyst"), ("investigator",)),
        (0.03, 0.09), ("day", "rotating", "oncall"), (9, 18), (4, 10),
        (("investigation", 0.85), ("list", 0.1), ("share_regulator", 0.01), ("decrypt", 0.04)),
        ("profile", "payment", "special", "contact"), "risk-desk", "risk_control", 0.15, (0.5, 0.98), (0.2, 0.7),
        (0.0, 0.4),
    ),
    "marketing": Duty(
        ("marketing", "growth", "crm_campaigns"), (("specialist",), ("campaign_manager", "specialist")),
        (0.03, 0.1), ("day",), (10, 19), (3, 8),
        (("campaign", 0.55), ("list", 0.2), ("case", 0.2), ("report", 0.03), ("share_partner", 0.02)),
        ("profile", "lead"), "crm", "marketing", 0.03, _ALL, (0.0, 0.05), (0.1, 0.6),
    ),
    "logistics": Duty(
        ("logistics", "dispatch", "fulfilment"), (("dispatcher", "planner"), ("driver_desk",)),
        (0.05, 0.18), ("day", "seven", "rotating"), (7, 16), (10, 24),
        (("case", 0.85), ("print", 0.08), ("list", 0.07)),
        ("order", "contact"), "orders-db", "delivery", 0.6, _ALL, (0.05, 0.4), (0.0, 0.1),
    ),
    "it": Duty(
        ("it_operations", "platform_operations", "site_reliability"),
        (("engineer", "senior_engineer", "administrator"), ("operator", "administrator")),
        (0.03, 0.09), ("oncall",), (9, 19), (3, 8),
        (("log", 0.7), ("case", 0.15), ("grant", 0.08), ("policy", 0.04), ("refused", 0.03)),
        ("profile",), "it-console", "operations", 0.15, _ALL, (0.0, 0.15), (0.1, 0.7), True,
    ),
    "data": Duty(
        ("data_team", "analytics", "data_platform"), (("data_engineer", "analyst"), ("dba", "data_engineer")),
        (0.02, 0.06), ("day", "oncall"), (10, 19), (3, 9),
        (("sql", 0.8), ("report", 0.1), ("decrypt", 0.03), ("list", 0.07)),
        ("order", "profile"), "warehouse", "analytics", 0.05, _ALL, (0.0, 0.08), (0.1, 0.7), True,
    ),
    "privacy": Duty(
        ("privacy_office", "legal", "data_protection"), (("privacy_officer", "paralegal"), ("counsel",)),
        (0.01, 0.04), ("day",), (9, 18), (2, 6), (("subject_request", 0.8), ("case", 0.15), ("share_regulator", 0.05)),
        ("profile", "order", "payment", "contact", "special"), "crm", "subject_rights", 0.0, (0.7, 0.98), (0.3, 0.8),
        (0.0, 0.5), True,
    ),
    "audit": Duty(
        ("internal_audit", "compliance", "audit_office"), (("auditor", "lead_auditor"), ("compliance_officer",)),
        (0.01, 0.04), ("day",), (9, 18), (3, 8), (("audit", 0.9), ("audit_export", 0.04), ("case", 0.06)),
        ("profile", "order"), "audit-console", "audit", 0.0, (0.6, 0.98), (0.0, 0.1), (0.0, 0.5), True,
    ),
    "field": Duty(
        ("stores", "branches", "field_service"), (("shop_assistant", "shop_manager"), ("technician", "field_lead")),
        (0.08, 0.3), ("seven", "rotating"), (10, 20), (8, 20),
        (("case", 0.85), ("create", 0.08), ("print", 0.05), ("refused", 0.02)),
        ("profile", "order"), "store-pos", "sales", 0.9, _ALL, (0.02, 0.35), (0.0, 0.02),
    ),
    "collections": Duty(
        ("collections", "debt_recovery", "retention"), (("collector", "team_lead"),),
        (0.03, 0.12), ("day", "rotating"), (9, 20), (10, 25), (("portfolio", 0.95), ("list", 0.05)),
        ("profile", "payment", "contact"), "crm", "collection", 0.2, _ALL, (0.2, 0.7), (0.0, 0.2),
    ),
    "claims": Duty(
        ("claims", "back_office", "case_handling"), (("handler", "senior_handler"),),
        (0.05, 0.2), ("day",), (8, 17), (5, 12),
        (("case", 0.7), ("portfolio", 0.2), ("print", 0.05), ("download", 0.05)),
        ("order", "special", "profile", "payment"), "claims-desk", "claims", 0.03, _ALL, (0.1, 0.6), (0.0, 0.5),
    ),
    "vip": Duty(
        ("vip_desk", "private_clients", "concierge"), (("concierge", "relationship_manager"),),
        (0.01, 0.04), ("day", "seven"), (8, 20), (4, 10), (("vip", 0.9), ("case", 0.1)),
        ("profile", "order", "contact"), "crm", "support", 0.5, (0.5, 0.98), (0.1, 0.6), (0.0, 0.2),
    ),
    "hr": Duty(
        ("human_resources", "people_team"), (("hr_partner", "recruiter"),),
        (0.01, 0.03), ("day",), (9, 18), (2, 6), (("grant", 0.3), ("list", 0.3), ("report", 0.1), ("create", 0.3)),
        ("contact",), "hr-suite", "personnel", 0.0, _ALL, (0.0, 0.2), (0.1, 0.5),
    ),
    "security": Duty(
        ("security_operations", "information_security"), (("soc_analyst", "security_engineer"),),
        (0.01, 0.04), ("rotating", "oncall"), (9, 19), (3, 9), (("audit", 0.6), ("log", 0.3), ("policy", 0.1)),
        ("profile",), "audit-console", "security", 0.3, (0.5, 0.98), (0.0, 0.1), (0.1, 0.5),
    ),
}  # fmt: skip
