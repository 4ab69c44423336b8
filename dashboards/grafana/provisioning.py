"""Files that Grafana reads at its start: data source, dashboards, alert rules; made for compose, good for any host.

Place in the flow: `accesstrail dashboards provision --out DIR`; `deploy/compose.yaml` mounts the folder. JSON is YAML,
so each `.yaml` file holds JSON: the same bytes every time and no writer of another language to trust. No secret is in
them: Grafana reads its password and address itself, by `$__file{PATH}`.

    datasources/accesstrail.yaml   dashboards/accesstrail.yaml + *.json   alerting/accesstrail.yaml
"""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.grafana.alert_rules import group_file, rules
from dashboards.grafana.build import as_text, dashboard
from dashboards.grafana.publish import FOLDER_TITLE, FOLDER_UID, Contact, Wanted, contact_point_body, data_source_body
from dashboards.grafana.views import Json

DASHBOARDS_FOLDER = "/etc/grafana/provisioning/dashboards"
PASSWORD_FILE = "/run/secrets/clickhouse-grafana"  # noqa: S105  a path
CONTACT_FILE = "/run/secrets/grafana-contact"


def board_files(wanted: Wanted) -> dict[str, str]:
    """Name of the file → text, one a board and language: `actor.json`, `actor.zh.json`."""
    return {
        f"{board.uid}{'' if language == 'en' else f'.{language}'}.json": as_text(
            dashboard(board, language, zone=wanted.zone)
        )
        for language in wanted.languages
        for board in wanted.boards
    }


def files(
    wanted: Wanted,
    *,
    dashboards_folder: str = DASHBOARDS_FOLDER,
    password_file: str = PASSWORD_FILE,
    contact_file: str = CONTACT_FILE,
) -> dict[str, str]:
    """Path below Grafana's provisioning folder → text. The three are paths as Grafana sees them."""
    documents: Mapping[str, Json] = {
        "datasources/accesstrail.yaml": _data_sources(wanted, password_file),
        "dashboards/accesstrail.yaml": _provider(dashboards_folder),
        "alerting/accesstrail.yaml": _alerting(wanted, contact_file),
    }
    boards = {f"dashboards/{name}": text for name, text in board_files(wanted).items()}
    return {path: as_text(document) for path, document in documents.items()} | boards


def _data_sources(wanted: Wanted, password_file: str) -> Json:
    # Only the uid is kept from what the API takes as well; `version` stays out: Grafana counts by itself.
    one = data_source_body(wanted.store) | {
        "orgId": 1, "editable": False, "secureJsonData": {"password": f"$__file{{{password_file}}}"},
    }  # fmt: skip
    return {"apiVersion": 1, "datasources": [one]}


def _provider(folder: str) -> Json:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "accesstrail", "orgId": 1, "folder": FOLDER_TITLE, "folderUid": FOLDER_UID, "type": "file",
                "disableDeletion": True, "allowUiUpdates": False, "updateIntervalSeconds": 60,
                "options": {"path": folder},
            }
        ],
    }  # fmt: skip


def _alerting(wanted: Wanted, contact_file: str) -> Json:
    """Rules name their contact point themselves, so that the organisation's policies stay as they are."""
    contact = wanted.contact
    group = group_file(
        rules(silence_after_s=wanted.silence_after_s), folder_title=FOLDER_TITLE, receiver=contact.name
    )  # fmt: skip
    document: Json = {"apiVersion": 1, "groups": [group]}
    if contact.name:
        body = contact_point_body(Contact(contact.kind, f"$__file{{{contact_file}}}"))
        receiver = {key: body[key] for key in ("uid", "type", "settings", "disableResolveMessage")}
        document["contactPoints"] = [{"orgId": 1, "name": contact.name, "receivers": [receiver]}]
    return document
