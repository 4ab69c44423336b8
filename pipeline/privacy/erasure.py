"""The certificate of an erasure: what was taken out, by whom, why, and what stays, as one text that is signed.

Place in the flow: made by `accesstrail erase` behind the erasure itself. Pure. The text names tokens and never the
person: whoever holds it learns nothing that the ledger does not say already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

HEAD = "accesstrail erasure certificate/1"
_ENGLISH = (
    "The identity behind the tokens above was erased from the vault of this system: its ciphertext and the only key to "
    "it. What remains are the tokens in evidence that must be kept; nobody here can turn them back. Whoever holds the "
    "token keys and already knows the identifier can still compute the token. Raw events in Kafka, and backups, lapse "
    "with their own retention."
)
_CHINESE = (
    "上述假名对应的身份已从本系统的身份保险库中删除，包括密文及其唯一的密钥。依法须保存的审计证据中仅保留假名，本系统内无人可以还原。"
    "持有假名密钥且已知该标识的人仍可计算出假名。Kafka 中的原始事件与备份按各自的保存期限到期删除。"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One erasure. `tokens`: hex, one a version of the token key; `key_ids`: hex, of the data keys destroyed."""

    erasure_id: str
    tenant: str
    kind: str
    tokens: Sequence[str]
    key_ids: Sequence[str]
    identities: int
    evidence_rows: int
    account: str
    role: str
    reason: str
    case_ref: str
    holds_asked: str
    erased_at_us: int


def certificate_text(erasure: Erasure, deployment: str) -> str:
    """What is signed: a head, the deployment, one line of canonical JSON, one sentence a language."""
    moment = datetime.fromtimestamp(erasure.erased_at_us / 1e6, UTC).isoformat(timespec="seconds")
    facts = {
        "access_event": erasure.erasure_id, "tenant": erasure.tenant, "kind": erasure.kind,
        "tokens": list(erasure.tokens), "data_keys_destroyed": list(erasure.key_ids),
        "identities_erased": erasure.identities, "evidence_rows_with_these_tokens": erasure.evidence_rows,
        "role": erasure.role, "by": erasure.account, "reason": erasure.reason, "case": erasure.case_ref,
        "legal_holds": erasure.holds_asked, "erased_at": moment.replace("+00:00", "Z"),
    }  # fmt: skip
    document = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"{HEAD}\n{deployment}\n{document}\n{_ENGLISH}\n{_CHINESE}\n"


def confirmation(tokens: Sequence[str], key_ids: Sequence[str]) -> str:
    """Eight digits that a preview gives and the erasure asks for: it erases what was looked at, nothing else."""
    return sha256("\n".join((*tokens, "", *sorted(key_ids))).encode()).hexdigest()[:8]
