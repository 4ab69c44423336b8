"""A Grafana of our own for tests: routes and bodies by its published specification, state kept, trouble on demand.

No Grafana server can be had by pip; this one knows what the specification beside the real records says: a route that is
not in it is 404, a body that its schema refuses, or a key that it does not name, is 400. What Grafana does beyond it is
imitated as documented: versions count, an old one is 412, a name taken is 409, secrets never come back.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import pytest

TOKEN = "glsa_of_this_test"
_FAULTS_MOST = 3


class Specification:
    """The operations of grafana-openapi.json, its known faults corrected."""

    def __init__(self, real_data: Path) -> None:
        path = real_data / "grafana-openapi.json"
        if not path.is_file():
            pytest.skip("no grafana-openapi.json here: set ACCESSTRAIL_TEST_DATA to the folder that holds it")
        self.document = json.loads(path.read_text())
        definitions = self.document["definitions"]
        # A rule's `for` is a text like "5m" to the server; the specification says nanoseconds.
        definitions["ProvisionedAlertRule"]["properties"]["for"] = {"type": "string", "pattern": r"^(\d+[smhdw])+$"}
        # Kinds of contact point were split at commas only: all but the first begin with a blank.
        kinds = definitions["EmbeddedContactPoint"]["properties"]["type"]
        kinds["enum"] = [one.strip() for one in kinds["enum"]]
        # Documented under "Other HTTP API", and asked by everyone, but not in the specification.
        self.document["paths"]["/health"] = {"get": {"parameters": []}}

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """The template of a path and what it says; None: there is no such route, or it is deprecated."""
        for template, operations in self.document["paths"].items():
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
            said = operations.get(method.lower())
            if said and not said.get("deprecated") and re.fullmatch(pattern, path):
                return template, said
        return None

    def faults(self, said: dict[str, Any], body: object) -> list[str]:
        """What is wrong with a body."""
        place = next((one for one in said.get("parameters", ()) if one["in"] == "body"), None)
        if place is None:
            return [] if body is None else ["no body is taken"]
        schema = place["schema"]
        validator = jsonschema.Draft4Validator(schema | {"definitions": self.document["definitions"]})
        found = [one.message[:300] for one in validator.iter_errors(body)]
        if isinstance(body, dict) and "$ref" in schema:
            known = self.document["definitions"][schema["$ref"].rsplit("/", 1)[1]].get("properties", {})
            found += [f"unknown key {key}" for key in body if known and key not in known]
        return found[:_FAULTS_MOST]


class FakeGrafana:
    """State and behaviour; `trouble` is what the next requests meet: a status, or a word of `_TROUBLES`."""

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self.version = "12.1.0"
        self.trouble: int | str = ""
        self.asked: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.folders: dict[str, dict[str, Any]] = {}
        self.permissions: dict[str, list[dict[str, Any]]] = {}
        self.data_sources: dict[str, dict[str, Any]] = {}
        self.passwords: list[str] = []
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        self.url = ""

    @property
    def writes(self) -> list[tuple[str, str]]:
        """What was asked that changes something."""
        return [one for one in self.asked if one[0] != "GET"]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Status and answer of one request."""
        found = self.specification.operation(method, path)
        self.asked.append((method, found[0] if found else path))
        if found is None:
            self.refused.append(f"no route {method} {path}")
            return 404, {"message": "Not found"}
        faults = self.specification.faults(found[1], body)
        if faults:
            self.refused += faults
            return 400, {"message": f"bad request data: {body}"}
        parts = [unquote(one) for one in path.strip("/").split("/")]
        for prefix, handler in _HANDLERS.items():
            if path.startswith(prefix):
                status, answer = handler(self, method, parts, query, body)
                return int(status), answer
        return 404, {"message": "Not found"}

    # -- what each kind of thing does

    def health(self, *_: Any) -> tuple[int, Any]:
        return 200, {"database": "ok", "version": self.version, "commit": "x"}

    def folder(self, method: str, parts: list[str], _: Any, body: Any) -> tuple[int, Any]:
        if method == "POST" and len(parts) == 1:
            if body["uid"] in self.folders:
                return 409, {"message": "a folder with the same uid already exists"}
            self.folders[body["uid"]] = body | {"id": len(self.folders) + 1, "version": 1}
            everyone = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
            self.permissions[body["uid"]] = everyone
            return 200, self.folders[body["uid"]]
        if parts[1] not in self.folders:
            return 404, {"message": "folder not found"}
        if parts[2:] == ["permissions"]:
            if method == "POST":
                self.permissions[parts[1]] = body["items"]
                return 200, {"message": "Folder permissions updated"}
            admin = {"role": "Admin", "permission": 4, "inherited": True}
            return 200, [admin, *self.permissions[parts[1]]]
        if method == "PUT":
            if body.get("version") != self.folders[parts[1]]["version"]:
                return 412, {"message": "the folder has been changed by someone else"}
            self.folders[parts[1]] |= {"title": body["title"], "version": body["version"] + 1}
        return 200, self.folders[parts[1]]

    def data_source(self, method: str, parts: list[str], _: Any, body: Any) -> tuple[int, Any]:
        uid = body["uid"] if method == "POST" else parts[2]
        if method == "POST" and uid in self.data_sources:
            return 409, {"message": "data source with the same name already exists"}
        if method != "POST" and uid not in self.data_sources:
            return 404, {"message": "Data source not found"}
        if method != "GET":
            secrets = body.pop("secureJsonData", {})
            self.passwords.append(secrets.get("password", ""))
            before = self.data_sources.get(uid, {"id": 7, "orgId": 1, "version": 0, "readOnly": False})
            stored = before | body | {"version": before["version"] + 1, "url": "", "user": "", "withCredentials": False}
            self.data_sources[uid] = stored | {"secureJsonFields": dict.fromkeys(secrets, True)}
            return 200, {"id": 7, "message": "Datasource added", "datasource": self.data_sources[uid]}
        return 200, self.data_sources[uid]

    def dashboard(self, method: str, parts: list[str], _: Any, body: Any) -> tuple[int, Any]:
        if method == "GET":
            there = self.dashboards.get(parts[2])
            return (200, there) if there else (404, {"message": "Dashboard not found"})
        sent = body["dashboard"]
        there = self.dashboards.get(sent["uid"])
        if there and not body.get("overwrite") and there["dashboard"]["version"] != sent.get("version"):
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        version = there["dashboard"]["version"] + 1 if there else 1
        stored = sent | {"id": there["dashboard"]["id"] if there else len(self.dashboards) + 1, "version": version}
        meta = {"folderUid": body["folderUid"], "version": version, "provisioned": False}
        self.dashboards[sent["uid"]] = {"dashboard": stored, "meta": meta}
        return 200, {"status": "success", "uid": sent["uid"], "version": version, "id": stored["id"], "url": "/d/x"}

    def contact_point(self, method: str, parts: list[str], query: Any, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return 200, [one for one in self.contacts.values() if one["name"] in query.get("name", [one["name"]])]
        uid = body["uid"] if method == "POST" else parts[3]
        if method == "PUT" and uid not in self.contacts:
            return 404, {"message": "not found"}
        self.contacts[uid] = body | {"provenance": "api"}
        return 202, {"message": "contactpoint updated"} if method == "PUT" else self.contacts[uid]

    def rule_group(self, method: str, parts: list[str], _: Any, body: Any) -> tuple[int, Any]:
        place = (parts[3], parts[5])
        if method == "PUT":
            if parts[3] not in self.folders:
                return 404, {"message": "folder does not exist"}
            receivers = {one["name"] for one in self.contacts.values()}
            for rule in body["rules"]:
                settings = rule.get("notification_settings")
                if settings and settings["receiver"] not in receivers:
                    return 400, {"message": "receiver does not exist"}
            added = {"id": 1, "provenance": "api", "updated": "2026-11-27T00:00:00Z", "orgID": 1}
            rules = [rule | added | {"for": rule["for"] + "0s"} for rule in body["rules"]]
            self.groups[place] = body | {"rules": rules}
        found = self.groups.get(place)
        return (200, found) if found else (404, {"message": "rule group not found"})


_HANDLERS: dict[str, Any] = {
    "/health": FakeGrafana.health, "/folders": FakeGrafana.folder, "/datasources": FakeGrafana.data_source,
    "/dashboards": FakeGrafana.dashboard, "/v1/provisioning/contact-points": FakeGrafana.contact_point,
    "/v1/provisioning/folder": FakeGrafana.rule_group,
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    grafana: FakeGrafana
    stopped: threading.Event

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._in_trouble(self.grafana.trouble):
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, b'{"message": "Invalid API key"}')
            return
        parts = urlsplit(self.path)
        assert parts.path.startswith("/grafana/api/")
        body = json.loads(content) if content else None
        status, answer = self.grafana.answer(
            self.command, parts.path.removeprefix("/grafana/api"), parse_qs(parts.query), body
        )
        self._send(status, json.dumps(answer).encode())

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _in_trouble(self, trouble: int | str) -> bool:
        """Plays one trouble; False: there is none."""
        if isinstance(trouble, int):
            # What was sent, in the answer: it must not come up anywhere.
            self._send(trouble, json.dumps({"message": "SECRET-IN-BODY", "traceID": ""}).encode())
        elif trouble == "garbage":
            self._send(200, b"<html>SECRET-IN-BODY, please log in</html>")
        elif trouble == "number":
            self._send(500, b"5")
        elif trouble == "list":
            self._send(200, b"[1]")
        elif trouble == "deep":
            self._send(200, b"[" * 200_000)
        elif trouble == "redirect":
            self._send(302, b"", Location=f"{self.grafana.url}/elsewhere")
        elif trouble == "huge":
            self._send(200, b'"' + b"x" * (9 << 20) + b'"')
        elif trouble == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"half": ')
            self.close_connection = True
        elif trouble == "slow":
            self.stopped.wait(30)
            self.close_connection = True
        elif trouble == "trickle":
            self._trickle()
        return trouble != ""

    def _trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.close_connection = True
        ends_s = time.monotonic() + 30
        while time.monotonic() < ends_s and not self.stopped.wait(0.05):
            try:
                self.wfile.write(b" ")
            except OSError:
                return


@contextmanager
def serving(specification: Specification) -> Iterator[FakeGrafana]:
    """A server on a free port of the loopback, below a prefix as behind a proxy."""
    grafana, stopped = FakeGrafana(specification), threading.Event()
    handler = type("Handler", (_Handler,), {"grafana": grafana, "stopped": stopped})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    grafana.url = f"http://127.0.0.1:{server.server_address[1]}/grafana"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield grafana
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
