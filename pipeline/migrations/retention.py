"""Tables of legal holds and of retention: what must stay, what was deleted and what is left of it.

None of them is ever changed but `pruned_leaves`, from which a leaf goes again where a hold came in before its row was
deleted. Two hashes of one place both stay to be seen.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES
from pipeline.migrations.schema import RAW, Statement, table, view
from pipeline.rights_columns import LEGAL_HOLD_COLUMNS, PRUNED_COLUMNS, RETENTION_RUN_COLUMNS

_TOKEN = f"FixedString({TOKEN_BYTES})"
_NO_TOKENS = f"CAST([], 'Array({_TOKEN})')"
_NOBODY = f"toFixedString('', {TOKEN_BYTES})"
_KEY_KIND = "splitByChar(':', substring(incident_key, length(tenant_id) + 2))"
_KEY_TOKEN = f"toFixedString(substring(unhex({_KEY_KIND}[2]), 1, {TOKEN_BYTES}), {TOKEN_BYTES})"
_FOREVER = "toDateTime64('2100-01-01 00:00:00', 6, 'UTC')"

_PLACED = (
    "SELECT hold_id, tenant_id, scope, actor_tokens, subject_tokens, credential_tokens, incident_id, from_time, "
    f"until_time, reason, by_token, at FROM {RAW}.legal_holds WHERE kind = 'placed'"
)


def _of_key(kind: str) -> str:
    return f"if(actor_token = {_NOBODY} AND {_KEY_KIND}[1] = '{kind}', [{_KEY_TOKEN}], {_NO_TOKENS})"


_SUSPECTED = (
    "SELECT incident_id AS hold_id, tenant_id, CAST('breach', 'LowCardinality(String)') AS scope, "
    f"if(actor_token = {_NOBODY}, {_NO_TOKENS}, [actor_token]) AS actor_tokens, "
    f"{_of_key('subject')} AS subject_tokens, {_of_key('credential')} AS credential_tokens, "
    f"incident_id, first_event_time AS from_time, {_FOREVER} AS until_time, '' AS reason, "
    f"{_NOBODY} AS by_token, since AS at FROM {RAW}.evidence_holds FINAL"
)
HOLDS_IN_FORCE = (
    f"SELECT * FROM ({_PLACED}\nUNION ALL\n{_SUSPECTED})\n"
    f"WHERE hold_id NOT IN (SELECT hold_id FROM {RAW}.legal_holds WHERE kind = 'released')"
)


def retention_steps() -> list[tuple[str, Statement]]:
    """Tables and views."""
    return [
        (
            "legal_holds",
            table("legal_holds", LEGAL_HOLD_COLUMNS, engine="MergeTree", order_by="tenant_id, hold_id, at"),
        ),
        ("view legal_holds", view("legal_holds", f"SELECT * FROM {RAW}.legal_holds")),
        ("view legal_holds_in_force", view("legal_holds_in_force", HOLDS_IN_FORCE)),
        (
            "pruned_leaves",
            table(
                "pruned_leaves", PRUNED_COLUMNS, engine="ReplacingMergeTree",
                order_by="topic, incarnation, partition, epoch, offset, leaf_hash, run_id",
            ),
        ),
        (
            "retention_runs",
            table("retention_runs", RETENTION_RUN_COLUMNS, engine="MergeTree", order_by="run_id, at"),
        ),
        ("view pruned_leaves", view("pruned_leaves", f"SELECT * FROM {RAW}.pruned_leaves FINAL")),
        ("view retention_runs", view("retention_runs", f"SELECT * FROM {RAW}.retention_runs")),
    ]  # fmt: skip
