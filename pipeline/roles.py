"""Who may do what in the store: one matrix, rendered to `users.xml` (local engine) and to SQL (a ClickHouse server).

Three databases: `accesstrail_raw` holds the tables, `accesstrail` the views that people and their own SQL read,
`accesstrail_vault` the identities, which the role vault alone can read. Views run with the migrator's rights
(`SQL SECURITY DEFINER`), so a read role needs no right on any table. Nobody but the migrator may alter or drop; nobody
but the migrator and retention may delete, and of identities the vault; nobody at all may read files, URLs or other
servers from inside the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

RAW_DATABASE = "accesstrail_raw"
VIEW_DATABASE = "accesstrail"
VAULT_DATABASE = "accesstrail_vault"
_GIB = 1 << 30
_HOUR_S = 3600
# The user `default` needs next to nothing; without a limit any local process could fill the memory through it.
_LAUNCHER_MEMORY_BYTES = 100 << 20
_LOOPBACK = ("127.0.0.1", "::1")
PRIVATE_NETWORKS = (*_LOOPBACK, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""Where a container's neighbours are."""
_SYSTEM_TABLES = (
    "columns", "databases", "disks", "merges", "mutations", "one", "parts", "server_settings", "tables",
)  # fmt: skip
# Where the engine keeps what was asked and said, if it does: the leak scan looks into them.
_SYSTEM_LOGS = (
    "asynchronous_insert_log", "crash_log", "error_log", "opentelemetry_span_log", "part_log",
    "processors_profile_log", "query_log", "query_thread_log", "query_views_log", "session_log", "text_log",
    "trace_log",
)  # fmt: skip
_SCHEDULED_TABLES = (
    "alerts", "access_explanations", "scheduled_runs", "scheduled_leases", "work_items", "nightly_reports",
    # Each night it may put another threshold in force.
    "artefacts", "version_activations",
)  # fmt: skip
_DELETED_FROM = (
    "access_events", "dead_letters", "subject_access", "features", "alerts", "access_explanations", "risk_actor_1h",
    "risk_resource_1d", "sources", "pruned_leaves",
)  # fmt: skip
_RETENTION_TABLES = ("pruned_leaves", "retention_runs", "risk_actor_1h", "risk_resource_1d", "sources")
_RESPONSE_TABLES = ("incident_log", "incidents", "deliveries", "evidence_holds", "legal_holds")
# What people wrote, or what others' systems call things: words in which anything may stand, though masked. A dashboard
# needs none of them, and whoever may look at one may send any SQL to its data source.
_WORDS_OF_EVENTS = ("justification", "denial_reason", "attrs", "query_fingerprint", "trace_id")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "access_events": _WORDS_OF_EVENTS,
    "person_events": _WORDS_OF_EVENTS,
    "dead_letters": ("payload",),
    "incident_log": ("why", "changes", "detail"),
    "legal_holds": ("reason",),
    "legal_holds_in_force": ("reason",),
    # Exceptions with the reasons that people gave for them.
    "version_contents": ("content",),
}
_ENGINES = (
    "AggregatingMergeTree", "Join", "MaterializedView", "MergeTree", "ReplacingMergeTree", "SummingMergeTree", "View",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """One setting of a role: its value, and the range within which a client may change it (None: not at all)."""

    setting: str
    value: int
    range: tuple[int, int] | None = None
    in_readonly: bool = False
    """May be changed within its range although the role is `readonly = 1`; a server knows that, a local engine not."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """How much a role may ask for in an hour; 0: no limit. It bounds a loop and a stolen password, never daily work.

    A server counts by it; a local engine only knows it.
    """

    queries: int = 0
    result_rows: int = 0


@dataclass(frozen=True, slots=True)
class Role:
    """One role: GRANT statements without their `TO`, the settings of its profile, and its quota."""

    name: str
    about: str
    grants: tuple[str, ...]
    limits: tuple[Limit, ...]
    revokes: tuple[str, ...] = ()
    """REVOKE statements without their `FROM`: columns taken out of what the grants give."""
    hourly: Hourly | None = None


ROLES: tuple[Role, ...] = (
    Role(
        "migrator",
        "Changes the schema; definer of every view.",
        (
            f"GRANT ALL ON {RAW_DATABASE}.*",
            f"GRANT ALL ON {VIEW_DATABASE}.*",
            # Makes the vault's tables and reads no row of them.
            f"GRANT CREATE, ALTER COLUMN, ALTER SETTINGS, DROP TABLE, SHOW ON {VAULT_DATABASE}.*",
            *(f"GRANT SELECT ON system.{table}" for table in (*_SYSTEM_TABLES, *_SYSTEM_LOGS)),
            *(f"GRANT TABLE ENGINE ON {engine}" for engine in _ENGINES),
        ),
        (),
    ),
    Role(
        "writer",
        "Stores events and evidence; can neither change nor remove what is stored.",
        (
            f"GRANT SELECT, INSERT ON {RAW_DATABASE}.*",
            f"GRANT SELECT ON {VIEW_DATABASE}.*",
            "GRANT SELECT ON system.one",
            # Whether an insert of another worker still runs; never anyone's text.
            "GRANT SELECT(query_kind, user, elapsed) ON system.processes",
        ),
        # Evidence is acknowledged when it is on disk, never when it is in a buffer.
        (Limit("async_insert", 0),),
    ),
    Role(
        "scheduler",
        "Runs scheduled detectors and the nightly budget: reads the views; adds runs, alerts, verdicts, thresholds.",
        (
            f"GRANT SELECT ON {VIEW_DATABASE}.*",
            *(f"GRANT SELECT, INSERT ON {RAW_DATABASE}.{table}" for table in _SCHEDULED_TABLES),
            "GRANT SELECT ON system.one",
            # Whether an insert of another runner still runs; never anyone's text.
            "GRANT SELECT(query_kind, user, elapsed) ON system.processes",
        ),
        (
            Limit("async_insert", 0),
            Limit("max_execution_time", 600),
            Limit("max_memory_usage", 2 * _GIB),
            Limit("max_bytes_before_external_group_by", _GIB // 2),
            Limit("max_bytes_before_external_sort", _GIB // 2),
            Limit("max_threads", 2, (1, 4)),
        ),
    ),
    Role(
        "responder",
        "Handles incidents and sends messages: reads the views; adds to the log, incidents, deliveries, holds.",
        (
            f"GRANT SELECT ON {VIEW_DATABASE}.*",
            *(f"GRANT SELECT, INSERT ON {RAW_DATABASE}.{table}" for table in _RESPONSE_TABLES),
            "GRANT SELECT ON system.one",
            # Whether an insert of another responder still runs; never anyone's text.
            "GRANT SELECT(query_kind, user, elapsed) ON system.processes",
        ),
        (Limit("async_insert", 0),),
    ),
    Role(
        "reader",
        "Reads the views, within limits.",
        (f"GRANT SELECT ON {VIEW_DATABASE}.*", "GRANT SELECT ON system.one"),
        (
            # 2: may read and set limits for itself within the ranges here; may not write, nor leave this mode.
            Limit("readonly", 2),
            Limit("max_execution_time", 60, (1, 300)),
            Limit("max_memory_usage", _GIB, (1 << 20, 2 * _GIB)),
            Limit("max_memory_usage_for_user", 2 * _GIB),
            Limit("max_result_rows", 1_000_000, (1, 10_000_000)),
            Limit("max_threads", 2, (1, 4)),
        ),
        # No bound on rows: verification reads every one. Accounts have their own day of looks ([audit] rows_per_day).
        hourly=Hourly(queries=1_000_000),
    ),
    Role(
        "grafana",
        "Reads the views for dashboards, without what people wrote; strictly read-only.",
        (f"GRANT SELECT ON {VIEW_DATABASE}.*", "GRANT SELECT ON system.one"),
        (
            # 1: no setting at all may be changed, but for the one that Grafana's plugin sends with every query.
            Limit("readonly", 1),
            Limit("max_execution_time", 30, (1, 300), in_readonly=True),
            Limit("max_memory_usage", _GIB),
            Limit("max_memory_usage_for_user", 2 * _GIB),
            Limit("max_result_rows", 100_000),
            Limit("max_threads", 2),
        ),
        tuple(f"REVOKE SELECT({', '.join(names)}) ON {VIEW_DATABASE}.{view}" for view, names in _WORDS.items()),
        # Looks there stand in no trail of ours: fifty viewers of twenty panels that ask every ten seconds.
        Hourly(queries=360_000, result_rows=200_000_000),
    ),
    Role(
        "notary",
        "Signs checkpoints: reads the views; adds checkpoints, and can change nothing.",
        (
            f"GRANT SELECT ON {VIEW_DATABASE}.*",
            f"GRANT INSERT ON {RAW_DATABASE}.checkpoints",
            "GRANT SELECT ON system.one",
            # Whether an insert of another notary still runs; never anyone's text.
            "GRANT SELECT(query_kind, user, elapsed) ON system.processes",
        ),
        (Limit("async_insert", 0), Limit("max_memory_usage", 2 * _GIB), Limit("max_threads", 2, (1, 4))),
    ),
    Role(
        "vault",
        "Keeps identities under encryption, reads them for a reveal, takes them out for an erasure; nothing else.",
        (
            f"GRANT SELECT, INSERT, ALTER DELETE ON {VAULT_DATABASE}.*",
            # Which token is whose under another key: told before the row that holds it.
            f"GRANT SELECT, INSERT ON {RAW_DATABASE}.token_links",
            "GRANT SELECT ON system.one",
            # Whether a part still holds what a mutation has taken out; never what is in it.
            "GRANT SELECT(database, table, active) ON system.parts",
        ),
        (Limit("async_insert", 0), Limit("max_memory_usage", _GIB), Limit("max_threads", 2, (1, 4))),
    ),
    Role(
        "retention",
        "Deletes rows whose time is over and keeps their leaf hashes; changes no row, adds no event.",
        (
            f"GRANT SELECT ON {VIEW_DATABASE}.*",
            *(f"GRANT SELECT, INSERT ON {RAW_DATABASE}.{table}" for table in _RETENTION_TABLES),
            *(f"GRANT SELECT, ALTER DELETE ON {RAW_DATABASE}.{table}" for table in _DELETED_FROM),
            "GRANT SELECT ON system.one",
            # Whether what it asked for is done; never anyone's text.
            "GRANT SELECT(database, table, mutation_id, is_done, latest_failed_part) ON system.mutations",
            "GRANT SELECT(query_kind, user, elapsed) ON system.processes",
        ),
        (Limit("async_insert", 0), Limit("max_memory_usage", 2 * _GIB), Limit("max_threads", 2, (1, 4))),
    ),
)


def render_users_xml(password_sha256_hex: Mapping[str, str], *, launcher_grants: tuple[str, ...] | None) -> str:
    """The users file of a local engine.

    `password_sha256_hex`: by role. `launcher_grants`: the only rights of the user `default`, which the engine itself
    logs in as and which can therefore not be closed; None leaves it all-powerful (only for a process without ports).
    """
    stripped = "" if launcher_grants is None else _grants_xml(launcher_grants)
    profile = (
        f"    <launcher><max_memory_usage>{_LAUNCHER_MEMORY_BYTES}</max_memory_usage><max_threads>1</max_threads>"
        "</launcher>"
    )
    user = (
        f"    <default><password/>{_networks_xml(_LOOPBACK)}<profile>launcher</profile><quota>default</quota>{stripped}"
        "</default>"
    )
    return _users_xml(password_sha256_hex, _LOOPBACK, profile, user)


def render_server_users_xml(password_sha256_hex: Mapping[str, str], *, networks: Sequence[str]) -> str:
    """The users file of a ClickHouse server of its own: the roles and nobody else, no user `default` either.

    `networks`: addresses they may come from.
    """
    return _users_xml(password_sha256_hex, networks, "", "")


def _users_xml(digests: Mapping[str, str], networks: Sequence[str], profile: str, user: str) -> str:
    profiles = [profile, *(_profile_xml(role) for role in ROLES)]
    users = [user, *(_user_xml(role, digests[role.name], networks) for role in ROLES)]
    return f"""<clickhouse>
  <profiles>
    <default/>
{chr(10).join(one for one in profiles if one)}
  </profiles>
  <quotas>
    <default/>
{chr(10).join(_quota_xml(role) for role in ROLES if role.hourly)}
  </quotas>
  <users>
{chr(10).join(one for one in users if one)}
  </users>
</clickhouse>
"""


def _networks_xml(networks: Sequence[str]) -> str:
    return "<networks>" + "".join(f"<ip>{escape(one)}</ip>" for one in networks) + "</networks>"


def _profile_xml(role: Role) -> str:
    # The local engine reads users before it reads that limits may be changed in this mode, and then does not start. In
    # mode 2 every limit holds that stands here; settings that do not may be changed.
    loose = any(limit.in_readonly for limit in role.limits)
    values = "".join(
        f"<{limit.setting}>{2 if loose and limit.setting == 'readonly' else limit.value}</{limit.setting}>"
        for limit in role.limits
    )
    bounds = "".join(f"<{limit.setting}>{_bounds_xml(limit)}</{limit.setting}>" for limit in role.limits)
    constraints = f"<constraints>{bounds}</constraints>" if bounds else ""
    return f"    <{role.name}>{values}{constraints}</{role.name}>"


def _quota_xml(role: Role) -> str:
    hourly = role.hourly or Hourly()
    bounds = f"<queries>{hourly.queries}</queries><result_rows>{hourly.result_rows}</result_rows>"
    return f"    <{role.name}><interval><duration>{_HOUR_S}</duration>{bounds}</interval></{role.name}>"


def _quota_sql(role: Role, hourly: Hourly, cluster: str) -> str:
    bounds = {"queries": hourly.queries, "result_rows": hourly.result_rows}
    most = ", ".join(f"{name} = {count}" for name, count in bounds.items() if count)
    return f"CREATE QUOTA OR REPLACE {role.name}_quota{cluster} FOR INTERVAL 1 hour MAX {most} TO {role.name}"


def _bounds_xml(limit: Limit) -> str:
    if limit.range is None:
        return "<readonly/>"
    return f"<min>{limit.range[0]}</min><max>{limit.range[1]}</max>"


def _grants_xml(grants: tuple[str, ...]) -> str:
    return "<grants>" + "".join(f"<query>{escape(grant)}</query>" for grant in grants) + "</grants>"


def _user_xml(role: Role, password_sha256_hex: str, networks: Sequence[str]) -> str:
    return (
        f"    <{role.name}><password_sha256_hex>{escape(password_sha256_hex)}</password_sha256_hex>"
        f"{_networks_xml(networks)}"
        f"<profile>{role.name}</profile><quota>{role.name if role.hourly else 'default'}</quota>"
        f"{_grants_xml((*role.grants, *role.revokes))}</{role.name}>"
    )


def render_sql(password_sha256_hex: Mapping[str, str], *, on_cluster: str = "") -> list[str]:
    """The same matrix as statements for a ClickHouse server, in order; each may be repeated.

    `on_cluster`: the cluster's name, or empty for one server. Passwords arrive hashed, so no secret is in the text.
    """
    cluster = f" ON CLUSTER {_identifier(on_cluster)}" if on_cluster else ""
    statements = []
    for role in ROLES:
        settings = ", ".join(_setting_sql(limit) for limit in role.limits)
        profile = f"{role.name}_profile"
        statements.append(
            f"CREATE SETTINGS PROFILE OR REPLACE {profile}{cluster}" + (f" SETTINGS {settings}" if settings else "")
        )
        statements.append(
            f"CREATE USER OR REPLACE {role.name}{cluster} IDENTIFIED WITH sha256_hash BY "
            f"'{_hex(password_sha256_hex[role.name])}' SETTINGS PROFILE {profile}"
        )
        if role.hourly:
            statements.append(_quota_sql(role, role.hourly, cluster))
        statements += [f"{grant.replace('GRANT', f'GRANT{cluster}', 1)} TO {role.name}" for grant in role.grants]
        statements += [f"{one.replace('REVOKE', f'REVOKE{cluster}', 1)} FROM {role.name}" for one in role.revokes]
    return statements


def _setting_sql(limit: Limit) -> str:
    if limit.range is None:
        return f"{limit.setting} = {limit.value} READONLY"
    bounds = f"{limit.setting} = {limit.value} MIN {limit.range[0]} MAX {limit.range[1]}"
    return f"{bounds} CHANGEABLE_IN_READONLY" if limit.in_readonly else bounds


def _hex(text: str) -> str:
    return bytes.fromhex(text).hex()


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise ValueError("a cluster's name must be an identifier")
    return name
