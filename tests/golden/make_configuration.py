"""Writes docs/reference/configuration.md: `python -m tests.golden.make_configuration`.

Keys, defaults and ranges are those that `pipeline.config` asks for while it reads a configuration; the words are here.
`test_configuration_reference.py` fails while the page is stale or a key has no words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import config
from pipeline.errors import ConfigError

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "configuration.md"

WORDS: Mapping[str, str] = {
    "accesstrail.state_dir": "folder for status files; of a local stack also everything else",
    "accesstrail.retention_class": "what new evidence is filed under: rows of one class and month lie together, so "
    "that they can be removed together",
    "kafka.bootstrap_servers": "`host:port`, several parted by commas",
    "kafka.events_topic": "topic of access events",
    "kafka.incidents_topic": "topic that alerts are handed on to",
    "kafka.notifications_topic": "topic of messages on their way to channels",
    "kafka.partitions": "partitions of each topic; fixed once a topic is made",
    "kafka.group": "consumer group; workers of one group share the partitions",
    "kafka.response_group": "consumer group of the responders, who handle incidents and send messages",
    "kafka.session_timeout_s": "a worker not heard of for so long loses its partitions; most of a takeover's time",
    "kafka.max_batch_records": "records a batch at most; evidence does not depend on it",
    "clickhouse.host": "host of the store",
    "clickhouse.native_port": "port of the native protocol, which everything uses",
    "clickhouse.http_port": "HTTP port; only shown by `accesstrail status`",
    "clickhouse.database": "database of the views; tables are in `<database>_raw`",
    "clickhouse.migrator_password_file": "password of the role that makes tables (`accesstrail migrate`)",
    "clickhouse.writer_password_file": "password of the role workers write with",
    "clickhouse.reader_password_file": "password of the role that reads views",
    "clickhouse.scheduler_password_file": "password of the role that scheduled detectors run as; only they need it",
    "clickhouse.responder_password_file": "password of the role that keeps incidents and deliveries; only responders "
    "need it",
    "clickhouse.notary_password_file": "password of the role that signs checkpoints; only the notary needs it",
    "clickhouse.vault_password_file": "password of the role that keeps and reveals identities; a vault needs it",
    "clickhouse.retention_password_file": "password of the role that deletes what has had its time; for retention only",
    "clickhouse.grafana_password_file": "password of the role that Grafana's data source asks as",
    "clickhouse.timeout_s": "an answer that takes longer counts as none: the partition waits and tries again",
    "clickhouse.commits_at_once": "partitions of a worker that write at the same time; more suits a larger store",
    "protection.token_keys_file": "keys behind all tokens; whoever holds them can link tokens to identifiers",
    "protection.vault_keys_file": "keys behind the vault, in the format of the token keys; whoever holds them and the "
    "vault's tables can read identities",
    "protection.attrs_allowed": "names of `attrs` that are stored; all others are dropped",
    "detection.directory": "folder of the CSV files that events are enriched from",
    "detection.model": "folder made by `accesstrail train`; left out: events are stored unscored",
    "detection.model_public_keys": "file of public keys, one a line (`accesstrail models keygen`): a model that none "
    "of them has signed is not used; left out: no signature is asked for",
    "detection.default_time_zone": "time zone of accounts whose site is not known",
    "detection.nightly_budget": "`on` or `off`: whether the alert threshold is moved each night to keep the budget",
    "detection.alerts_a_day": "the alert budget; 0: the one the model was trained for",
    "recovery.snapshot_interval_s": "profiles that changed are stored at least so often",
    "recovery.snapshot_events": "and after so many events of a partition; fewer make a takeover shorter",
    "recovery.drain_timeout_s": "how long a partition that is taken away may finish what it has begun",
    "recovery.away_alert_after_s": "store or broker away for so long: an alert",
    "response.two_people": "actions that take a second person here although they need not: `contain_actor`",
    "response.link_base": "`https://HOST[:PORT]` that links in messages begin with; left out: messages carry none",
    "response.host": "address of the page behind those links",
    "response.port": "its port; 0: a free one, which `accesstrail status` names",
    "response.containment": "name of the channel (kind `webhook`) that `incidents contain` asks to stop an account",
    "grafana.url": "`https://HOST[:PORT][/PREFIX]` that `accesstrail dashboards publish` and `diff` speak to; plain "
    "http only to this machine",
    "grafana.token_file": "file with the token of a Grafana service account of the role Admin",
    "grafana.ca_file": "file of certificates to trust for that address; left out: the ones requests comes with",
    "grafana.viewers": "who may open the folder besides administrators: `editors`, or `everyone` of the organisation",
    "grafana.store_host": "host of the store as Grafana reaches it; left out: `clickhouse.host`",
    "grafana.store_port": "its native port as Grafana reaches it; 0: `clickhouse.native_port`",
    "grafana.store_tls": "`on` or `off`: whether Grafana speaks TLS to the store",
    "grafana.contact": "how Grafana's alert rules tell somebody: `email`, `webhook`, or `none`: as its default policy "
    "says",
    "grafana.contact_file": "file with that address; a secret, since a webhook's address mostly holds one",
    "grafana.silence_after_s": "a source that reported within seven days and then not for so long: an alert",
    "console.host": "address of the console; another one than loopback needs `public_address` or `hosts`",
    "console.port": "its port; 0: the last one, else a free one, which `accesstrail status` names",
    "console.public_address": "`https://HOST[:PORT]` under which a proxy with TLS offers it; cookies are then secure",
    "console.hosts": "other names under which it may be asked (the `Host` header), against DNS rebinding",
    "ledger.deployment": "begins the origin line of every checkpoint and names the signing key; never change it later",
    "ledger.signing_key_file": "private key of checkpoints, 0600; only the notary and `accesstrail keys` read it",
    "ledger.public_keys_file": "public keys of checkpoints, one a line; old ones stay",
    "ledger.checkpoint_interval_s": "how often what was sealed since is signed",
    "ledger.anchor_interval_s": "how often new checkpoints are handed to the anchors",
    "ledger.anchor_age_alert_s": "a checkpoint that an anchor lacks for so long: trouble `anchor_age`",
    "retention.profile": "`production` refuses times shorter than the law asks; `test` takes any",
    "retention.classes": "days by `retention_class`, 184 or more, e.g. `standard = 396` (the default); a class that "
    "is not named stays",
    "retention.provision_days": "records of what was handed to partners, others or abroad stay so long, 1096 or more",
    "retention.nightly": "`true`: the scheduler runs `accesstrail retention run` each night; off, cron or a timer may",
    "retention.nightly_hour": "from this hour on, by the clocks of `[detection] default_time_zone`",
    "audit.looks_need_account": "`true`: `accesstrail search`, `sql`, `alerts` and what reads `incidents`, "
    "`exceptions` and holds take an account and a reason, and each look is recorded; `false`: only where an account "
    "is given",
    "audit.looks_per_day": "how often one account may look at evidence from midnight to midnight, in console and "
    "commands; 0: no limit",
    "audit.rows_per_day": "how many rows of evidence it may be shown or handed in that time; 0: no limit",
    "ledger.anchors": "tables `[ledger.anchors.NAME]`, see [evidence and keys](../guides/evidence-keys.md)",
    "health.host": "address of `/livez`, `/readyz` and `/metrics`",
    "health.port": "their port; 0: a free one, which `accesstrail status` names",
    "health.poll_interval_s": "how often broker and store are asked how they are",
    "health.stalled_after_s": "watchdog: records wait and nothing moves for so long, although broker and store answer: "
    "the worker says so and ends with status 70, to be started again",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One setting as the configuration was asked for it."""

    name: str
    kind: str
    default: str


class _Listening(config._Reader):
    """Notes every setting that is read."""

    asked: list[Asked]

    def _note(self, section: str, key: str, kind: str, default: object) -> None:
        shown = "required" if default is None else f"`{default}`" if default not in ("", ()) else "none"
        self.asked.append(Asked(f"{section}.{key}", kind, shown))

    def text(self, section: str, key: str, default: str | None = None, *, empty_ok: bool = False) -> str:
        self._note(section, key, "text", default)
        return super().text(section, key, default, empty_ok=empty_ok)

    def number(self, section: str, key: str, default: float, low: float, high: float) -> float:
        self._note(section, key, f"number, {low:,} to {high:,}", default)
        return super().number(section, key, default, low, high)

    def whole(self, section: str, key: str, default: int, low: int, high: int) -> int:
        self._note(section, key, f"number, {low:,} to {high:,}", default)
        return super().whole(section, key, default, low, high)

    def flag(self, section: str, key: str) -> bool:
        self._note(section, key, "true or false", "false")
        return super().flag(section, key)

    def choice(self, section: str, key: str, words: tuple[str, ...]) -> str:
        self._note(section, key, "text", words[0])
        return super().choice(section, key, words)

    def texts(self, section: str, key: str) -> tuple[str, ...]:
        self._note(section, key, "list of texts", ())
        return super().texts(section, key)

    def path(self, section: str, key: str, *, kind: str, default: str | None = None) -> Path:
        kinds = {"secret": "file, mode 0600", "folder": "folder", "file": "file", "any": "folder, may be missing"}
        self._note(section, key, kinds[kind], default)
        return super().path(section, key, kind=kind, default=default)

    def inner_tables(self, section: str, key: str) -> Mapping[str, Any]:
        self._note(section, key, "tables", ())
        return super().inner_tables(section, key)


def asked() -> list[Asked]:
    """Every setting, in the order in which it is read."""
    found: list[Asked] = []

    class Listening(_Listening):
        asked = found

    original: Any = config._Reader
    config._Reader = Listening  # type: ignore[misc]
    try:
        ledger = {"signing_key_file": "key", "public_keys_file": "ledger.pub"}
        protection = {"vault_keys_file": "vault.json"}
        detection = {"model": "model", "model_public_keys": "model.pub"}
        config.settings_from({"detection": detection, "ledger": ledger, "protection": protection}, PAGE, {})
    except ConfigError:
        pass  # nothing is set: we only listen to what is asked for
    finally:
        config._Reader = original  # type: ignore[misc]
    # These are asked for twice, whether there is one and where; they may be left out.
    optional = (
        "detection.model", "detection.model_public_keys", "ledger.signing_key_file", "ledger.public_keys_file",
        "protection.vault_keys_file",
    )  # fmt: skip
    kept = [one for one in found if not (one.name in optional and one.kind == "text")]
    return [replace(one, default="none") if one.name in optional else one for one in kept]


def page() -> str:
    """The whole page."""
    lines = [
        "# Configuration",
        "",
        "<!-- Generated from pipeline/config.py by tests/golden/make_configuration.py; do not edit. -->",
        "",
        "One TOML file, named by `--config` or `ACCESSTRAIL_CONFIG`; `accesstrail up --state DIR` makes one in its "
        "state folder. Paths are relative to the file. `ACCESSTRAIL_<SECTION>_<KEY>` in the environment goes before "
        "the file, e.g. `ACCESSTRAIL_KAFKA_PARTITIONS`. Passwords and keys are never values, only paths of files that "
        "nobody but their owner may read. An unknown setting is a fault; `accesstrail check` lists all at once.",
    ]
    section = ""
    for one in asked():
        name, _, key = one.name.partition(".")
        if name != section:
            section = name
            lines += [
                "",
                f"## [{section}]",
                "",
                "| key | value | default | what it does |",
                "| --- | --- | --- | --- |",
            ]
        lines.append(f"| `{key}` | {one.kind} | {one.default} | {WORDS.get(one.name, '')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
