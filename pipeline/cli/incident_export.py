"""Everything of one incident as one document: its log, alerts, messages, and the breach clock if there is one.

Place in the flow: below `accesstrail incidents breach export` and the console's download. Canonical JSON (sorted keys,
no spaces, UTF-8), one line. It holds tokens and names of responders, no identities of customers or actors.
"""

from __future__ import annotations

import json

from pipeline.audit.incidents import IncidentExport, IncidentView
from pipeline.cli.incident_clock import clock_document, view_of
from pipeline.cli.incident_desk import Desk
from pipeline.cli.incident_documents import plain_alert, plain_delivery, plain_entry, plain_incident


def incident_export(desk: Desk, incident: IncidentView, exported_by: str) -> IncidentExport:
    """The document of an incident as it stands now. Raises: Away; ConfigError: [operator] or the register is wrong."""
    view = view_of(desk, incident)
    alerts = [plain_alert(alert) for alert in desk.reader.alerts_of(incident)]
    document = {
        "incident": plain_incident(incident),
        "timeline": [plain_entry(entry) for entry in view.timeline],
        "alerts": alerts,
        "deliveries": [plain_delivery(row) for row in desk.reader.deliveries_of(incident.incident_id)],
        "breach": clock_document(view) if view.is_suspected else None,
        "exported_by": exported_by,
    }
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    return IncidentExport(body=text.encode(), log_rows=len(view.timeline), alerts=len(alerts))
