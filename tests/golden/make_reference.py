"""Writes docs/reference/tables.md and fields.md from the one list of columns: `python -m tests.golden.make_reference`.

`test_reference.py` fails while the pages differ from what this writes, so they cannot go stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.checkpoint_columns import CHECKPOINT_COLUMNS
from pipeline.columns import (
    ACCESS_EVENT_COLUMNS,
    ACTIVATION_COLUMNS,
    ALERT_COLUMNS,
    ARTEFACT_COLUMNS,
    CANON_VERSION,
    DEAD_LETTER_COLUMNS,
    EXPLANATION_COLUMNS,
    LEDGER_COLUMNS,
    RUN_COLUMNS,
    WIRE_TREATMENTS,
    WORK_ITEM_COLUMNS,
    ColumnSpec,
)
from pipeline.incident_columns import DELIVERY_COLUMNS, HOLD_COLUMNS, INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.link_columns import TOKEN_LINK_COLUMNS
from pipeline.migrations.derived import (
    DAY_KEYS,
    HOUR_KEYS,
    RESOURCE_KEYS,
    ROLLUP_MEASURES,
    SOURCES_COLUMNS,
    SUBJECT_ACCESS_COLUMNS,
)
from pipeline.rights_columns import (
    HOLD_IN_FORCE_COLUMNS,
    LEGAL_HOLD_COLUMNS,
    PRUNED_COLUMNS,
    RETENTION_RUN_COLUMNS,
)
from pipeline.vault_columns import ERASURE_COLUMNS, VAULT_COLUMNS, VAULT_KEY_COLUMNS

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"

_STORED_AT = ColumnSpec("stored_at", "DateTime64(3, 'UTC')", "store", "when the row was written last", evidence=False)
_SEALED_AT = ColumnSpec("sealed_at", "DateTime64(3, 'UTC')", "store", "when the entry was written", evidence=False)
_WRITTEN_AT = ColumnSpec("written_at", "DateTime64(6, 'UTC')", "store", "when the row was written", evidence=False)
_CREATED_AT = ColumnSpec("created_at", "DateTime64(3, 'UTC')", "store", "when it was first kept", evidence=False)
_CONTENT = ColumnSpec("content", "String", "store", "the content, of a model its manifest", evidence=False)
_ANNOUNCED = ColumnSpec("announced", "UInt8", "store", "1 where Kafka has the access event", evidence=False)
_ONE_A_LEAF = "Its evidence columns, in this order, are what its ledger leaf commits to"

TABLES: Mapping[str, tuple[str, Sequence[ColumnSpec]]] = {
    "access_events": (f"One row an access event. {_ONE_A_LEAF}.", (*ACCESS_EVENT_COLUMNS, _STORED_AT)),
    "subject_access": (
        "One row an access event and data subject it names: who touched this customer. Repetitions of an event "
        "(`duplicate_of >= 0`) are there too: leave them out when counting.",
        SUBJECT_ACCESS_COLUMNS,
    ),
    "dead_letters": (
        "Records that are no valid access event, and gaps: offsets that Kafka could not give. "
        f"{_ONE_A_LEAF}; the payload is encrypted.",
        (*DEAD_LETTER_COLUMNS, _STORED_AT),
    ),
    "alerts": ("One row a finding. Alerts of the system itself have `batch_id` 0.", (*ALERT_COLUMNS, _STORED_AT)),
    "ledger": (
        "One row a sealed batch: its range of offsets, counts, and the partition's RFC 6962 tree after it. "
        "`entry_hash` is SHA-256(0x02 ‖ RowBinary of the evidence columns).",
        (*LEDGER_COLUMNS, _SEALED_AT),
    ),
    "checkpoints": (
        "One row a signed checkpoint of a tree; never replaced, so that two of one size that differ stay to be seen. "
        "[evidence](evidence.md) says how a note is checked.",
        CHECKPOINT_COLUMNS,
    ),
    "vault": (
        "One row an identity, encrypted; with the two tables below it lies in the database `accesstrail_vault`, which "
        "only the role vault can read. [identities](../guides/identities.md) says what is kept, and how it is erased.",
        (*VAULT_COLUMNS, _STORED_AT),
    ),
    "vault_keys": ("One row a data key, wrapped; erasing it erases the identity.", (*VAULT_KEY_COLUMNS, _STORED_AT)),
    "token_links": (
        "One row a pseudonym that a rotated key made: whose it is, by the pseudonym under the oldest key. "
        "`person_events`, `person_accesses`, `person_days` and `person_features` show `access_events`, "
        "`subject_access`, `risk_actor_1d` and `features` with these in place of the stored ones; the first two hold "
        "what their table is sorted by as `stored_actor_token` and `stored_subject_token`.",
        TOKEN_LINK_COLUMNS,
    ),
    "erasures": ("One row an erasure: tokens, and the signed certificate.", (*ERASURE_COLUMNS, _STORED_AT)),
    "version_activations": (
        "One row a change of the version set in force; the largest `number` of a topic is in force now.",
        (*(spec for spec in ACTIVATION_COLUMNS if spec.name != "event"), _ANNOUNCED),
    ),
    "version_contents": (
        "What events are judged by, as far as readers may see it: exceptions and policies in force, the parts of a "
        "set, a model's manifest, none of its trees and statistics. JSON.",
        (*(spec for spec in ARTEFACT_COLUMNS if spec.name != "content"), _CREATED_AT, _CONTENT),
    ),
    "sources": ("What each source reported on each day.", SOURCES_COLUMNS),
    "risk_actor_1h": (
        "Sums by actor and hour of the event, repetitions and heartbeats left out.",
        (*HOUR_KEYS, *ROLLUP_MEASURES),
    ),
    "risk_actor_1d": ("The same by actor and day.", (*DAY_KEYS, *ROLLUP_MEASURES)),
    "access_explanations": (
        "The final verdict, a day later, on accesses that the stream did not find explained: tickets are often opened "
        "after the look.",
        (*EXPLANATION_COLUMNS, _STORED_AT),
    ),
    "scheduled_runs": (
        "One row a run of a scheduled detector over a window, failed ones too. A window is done for good when a row "
        "has the stage `final` and the result `done`.",
        (*RUN_COLUMNS, _STORED_AT),
    ),
    "work_items": ("The work items that final verdicts are given by.", (*WORK_ITEM_COLUMNS, _STORED_AT)),
    "incidents": (
        "One row an incident, as it stands. Times that have not come are 1970-01-01, ids that there are none of zero.",
        (*INCIDENT_COLUMNS, _STORED_AT),
    ),
    "incident_log": (
        "One row a record of the topic `access.incidents`, also where nothing changed: who did what, when and why.",
        (*INCIDENT_LOG_COLUMNS, _WRITTEN_AT),
    ),
    "deliveries": (
        "One row an attempt to send a message. A message that Kafka holds twice may have rows at both offsets.",
        (*DELIVERY_COLUMNS, _STORED_AT),
    ),
    "evidence_holds": (
        "One row an incident in which a breach is suspected: its evidence must not be deleted.",
        (*HOLD_COLUMNS, _STORED_AT),
    ),
    "legal_holds": (
        "One row when a legal hold is placed, one when it is released: [holds](../guides/retention-and-holds.md).",
        LEGAL_HOLD_COLUMNS,
    ),
    "legal_holds_in_force": (
        "One row a hold that keeps rows now. Those with the scope `breach` are the `evidence_holds`.",
        HOLD_IN_FORCE_COLUMNS,
    ),
    "pruned_leaves": (
        "One row a leaf whose row was deleted because its time was over: its hash keeps the tree whole.",
        PRUNED_COLUMNS,
    ),
    "retention_runs": (
        "One row a stage of a run of retention; the run was announced by the access event with the id `run_id`.",
        RETENTION_RUN_COLUMNS,
    ),
    "risk_resource_1d": ("The same by kind of resource and day.", (*RESOURCE_KEYS, *ROLLUP_MEASURES)),
}
_ABOUT_TREATMENTS = {
    "token": "replaced by a keyed pseudonym of 16 bytes",
    "hash": "kept as its family and a keyed hash",
    "mask": "kept, personal data in it masked",
    "clear": "kept as it is",
    "drop": "not kept",
    "vault": "kept encrypted in the vault",
}


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def tables_page() -> str:
    """The views of database `accesstrail`."""
    lines = [
        "# Tables",
        "",
        "<!-- Generated from pipeline/columns.py by tests/golden/make_reference.py; do not edit. -->",
        "",
        "What auditors' and operators' own SQL may rely on: the views of the database `accesstrail`. A view shows rows "
        "of sealed batches only, each once. Times are UTC; tokens are `FixedString(16)` (print them with `hex`); words "
        "are `Enum8` with `''` for absent; risks are hundredths, scores millionths.",
        "",
        f"Evidence columns (canonical version {CANON_VERSION}) are what the ledger commits to: a row's leaf is "
        "`SHA256(concat(char(0), formatRow('RowBinary', …evidence columns in this order…)))`.",
    ]
    for name, (about, columns) in TABLES.items():
        lines += ["", f"## {name}", "", about, ""]
        rows = [[f"`{spec.name}`", f"`{spec.type}`", "yes" if spec.evidence else "", spec.about] for spec in columns]
        lines += _table(["column", "type", "evidence", "what it holds"], rows)
    return "\n".join(lines) + "\n"


def fields_page() -> str:
    """What becomes of every field of the wire format."""
    stored: dict[str, list[str]] = {}
    for spec in ACCESS_EVENT_COLUMNS:
        stored.setdefault(spec.origin, []).append(f"`{spec.name}`")
    rows = [
        [
            f"`{field}`",
            treatment,
            f"`{kind}`" if kind else "",
            ", ".join(stored.get(field, ["–"])),
        ]
        for field, (treatment, kind) in WIRE_TREATMENTS.items()
    ]
    used = dict.fromkeys(treatment for treatment, _ in WIRE_TREATMENTS.values())
    return "\n".join(
        [
            "# Fields",
            "",
            "<!-- Generated from pipeline/columns.py by tests/golden/make_reference.py; do not edit. -->",
            "",
            "What becomes of every field of an access event before it is stored.",
            "",
            *_table(["treatment", "meaning"], [[name, _ABOUT_TREATMENTS[name]] for name in used]),
            "",
            *_table(["wire field", "treatment", "kind of token", "stored in"], rows),
            "",
            "`attrs`: only the keys that the configuration allow-lists, masked. `resource_id` is kept in clear only "
            "for resource types that the directory declares `ids=object`.",
            "",
        ]
    )


PAGES = {"tables.md": tables_page, "fields.md": fields_page}


def main() -> None:
    """Writes both pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
