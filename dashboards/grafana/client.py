"""Grafana's API behind one class: the few routes that publishing needs, all by uid or name; errors are ours.

Adapter of vendor grafana-api 1.0.3 (2020), whose routes by number are switched off since Grafana 13 and which knows no
alerting: what it lacks goes through its own raw calls. Every answer passes one gate before the library sees it: no
redirects, bounded in bytes and time, JSON or refused, a refusal becomes an error of ours by its status. No message
repeats a body: Grafana's own may hold what was sent, and that holds passwords. The token comes from a file that nobody
else may read, and goes to loopback or over verified TLS only, past no proxy and no `.netrc`.
"""

from __future__ import annotations

import io
import ipaddress
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from grafana_api.grafana_face import GrafanaFace
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeout

from dashboards.grafana.views import Json
from pipeline.errors import AccesstrailError, Away, Forbidden, UsageError
from pipeline.private_files import line_in

OLDEST = (11, 6)
"""The ClickHouse plugin 4.15 asks for it."""
ROUTES: tuple[tuple[str, str], ...] = (
    ("GET", "/health"),
    ("GET", "/folders/{uid}"), ("POST", "/folders"), ("PUT", "/folders/{uid}"),
    ("GET", "/folders/{uid}/permissions"), ("POST", "/folders/{uid}/permissions"),
    ("GET", "/datasources/uid/{uid}"), ("POST", "/datasources"), ("PUT", "/datasources/uid/{uid}"),
    ("GET", "/dashboards/uid/{uid}"), ("POST", "/dashboards/db"),
    ("GET", "/v1/provisioning/contact-points"), ("POST", "/v1/provisioning/contact-points"),
    ("PUT", "/v1/provisioning/contact-points/{uid}"),
    ("GET", "/v1/provisioning/folder/{folder}/rule-groups/{group}"),
    ("PUT", "/v1/provisioning/folder/{folder}/rule-groups/{group}"),
)  # fmt: skip
"""Everything that may be asked; nothing else is."""
_MOST_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 16
_VERSION = re.compile(r"(\d+)\.(\d+)")


class NotThere(UsageError):
    """Grafana has nothing under that uid or name."""

    code = "grafana_not_there"


class GrafanaConflict(UsageError):
    """Somebody else changed it meanwhile, or it is managed by provisioning files."""

    code = "grafana_conflict"


class Grafana:
    """One Grafana, as one service account. Not thread-safe.

    `url`: `https://HOST[:PORT][/PREFIX]`, or http to this machine. `timeout_s`: for a whole answer.
    Each method raises: Away: no answer, or none that can be used; Forbidden: the token or its role; GrafanaConflict;
    UsageError: Grafana refuses what was sent.
    """

    def __init__(self, url: str, token_file: Path, *, ca_file: Path | None = None, timeout_s: float = 10.0) -> None:
        """Raises: UsageError: the address or the token's file cannot be used; nothing is sent."""
        host, port, prefix, scheme = _address(url)
        token, fault = line_in(token_file)
        if fault:
            raise UsageError(f"{token_file} {fault}: it must hold a service account's token", code="grafana_token")
        face: Any = GrafanaFace(
            auth=token, host=host, port=port, protocol=scheme, url_path_prefix=prefix,
            verify=str(ca_file) if ca_file else True, timeout=timeout_s,
        )  # fmt: skip
        face.api.s = _Gate(timeout_s)
        self._face: Any = face

    # -- what it is

    def version(self) -> str:
        """Grafana's version. Raises: UsageError: too old, or it does not tell."""
        text = str(self._get("/health").get("version", ""))
        found = _VERSION.match(text)
        if found is None:
            raise UsageError("Grafana does not tell its version: is that address Grafana's?", code="grafana_version")
        if (int(found[1]), int(found[2])) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise UsageError(
                f"Grafana {found[0]} is too old: its ClickHouse plugin needs {oldest} or newer", code="grafana_version"
            )
        return text

    # -- folders

    def folder(self, uid: str) -> Json | None:
        """The folder; None: there is none."""
        return self._or_none(lambda: self._face.folder.get_folder(_safe(uid)))

    def create_folder(self, uid: str, title: str) -> None:
        """A new folder."""
        self._face.folder.create_folder(title, uid)

    def rename_folder(self, uid: str, title: str, version: int) -> None:
        """Another title; `version`: of the folder that was looked at."""
        self._face.folder.update_folder(_safe(uid), title, version=version)

    def folder_permissions(self, uid: str) -> list[Json]:
        """Who may do what in it."""
        return _list(self._face.folder.get_folder_permissions(_safe(uid)))

    def set_folder_permissions(self, uid: str, items: list[Json]) -> None:
        """Exactly these, all others are taken away (administrators keep theirs)."""
        self._face.folder.update_folder_permissions(_safe(uid), {"items": items})

    # -- data source

    def data_source(self, uid: str) -> Json | None:
        """The data source without its secrets; None: there is none."""
        return self._or_none(lambda: self._get(f"/datasources/uid/{_safe(uid)}"))

    def create_data_source(self, body: Json) -> None:
        """A new data source."""
        self._face.datasource.create_datasource(body)

    def update_data_source(self, uid: str, body: Json) -> None:
        """The data source as `body` says. By uid: the library's own call goes by number, which Grafana 13 refuses."""
        self._face.api.PUT(f"/datasources/uid/{_safe(uid)}", json=body)

    # -- dashboards

    def dashboard(self, uid: str) -> Json | None:
        """`dashboard` and `meta`; None: there is none."""
        return self._or_none(lambda: self._face.dashboard.get_dashboard(_safe(uid)))

    def save_dashboard(self, built: Json, *, folder: str, message: str) -> None:
        """A new dashboard, or the next version of the one whose `version` stands in it: never over a newer one."""
        self._face.dashboard.update_dashboard(
            {"dashboard": built, "folderUid": folder, "message": message, "overwrite": False}
        )

    # -- alerting

    def contact_points(self, name: str) -> list[Json]:
        """Contact points of that name."""
        return _list(self._face.api.GET(f"/v1/provisioning/contact-points?name={quote(name, safe='')}"))

    def create_contact_point(self, body: Json) -> None:
        """A new contact point."""
        self._face.api.POST("/v1/provisioning/contact-points", json=body)

    def update_contact_point(self, uid: str, body: Json) -> None:
        """The contact point as `body` says."""
        self._face.api.PUT(f"/v1/provisioning/contact-points/{_safe(uid)}", json=body)

    def rule_group(self, folder: str, group: str) -> Json | None:
        """The group of alert rules; None: there is none."""
        found = self._or_none(lambda: self._get(_group_path(folder, group)))
        return found if found and found.get("rules") else None

    def put_rule_group(self, folder: str, group: str, body: Json) -> None:
        """The whole group; rules that are not in it are removed."""
        self._face.api.PUT(_group_path(folder, group), json=body)

    # -- inside

    def _get(self, path: str) -> Json:
        return _dict(self._face.api.GET(path))

    @staticmethod
    def _or_none(ask: Any) -> Json | None:  # noqa: ANN401  the library has no types
        try:
            return _dict(ask())
        except NotThere:
            return None


def _group_path(folder: str, group: str) -> str:
    return f"/v1/provisioning/folder/{_safe(folder)}/rule-groups/{_safe(group)}"


def _safe(name: str) -> str:
    return quote(name, safe="")


def _dict(answer: object) -> Json:
    if not isinstance(answer, dict):
        raise _useless()
    return answer


def _list(answer: object) -> list[Json]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise _useless()
    return answer


def _useless() -> Away:
    return Away("what answers is no Grafana: check [grafana] url, and what stands in between", code="grafana_garbage")


def _address(url: str) -> tuple[str, int | None, str, str]:
    """Host, port, prefix and scheme. Raises: UsageError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("[grafana] url is no address", code="grafana_url") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise UsageError("[grafana] url must be https://HOST[:PORT][/PREFIX], nothing more", code="grafana_url")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            "[grafana] url: the token would travel readable: use https, or http to 127.0.0.1 only", code="grafana_url"
        )
    prefix = parts.path.strip("/")
    return f"[{host}]" if ":" in host else host, port, f"{prefix}/" if prefix else "", parts.scheme


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Gate(requests.Session):
    """What every request and answer passes."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self.trust_env = False

    def request(self, method: str, url: str, **options: Any) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Raises: errors of ours, whatever happens."""
        deadline_s = time.monotonic() + self._timeout_s
        options |= {"allow_redirects": False, "stream": True}
        try:
            with super().request(method, url, **options) as response:
                content = b"".join(_read(response, deadline_s))
        except requests.exceptions.SSLError:
            raise Away(
                "Grafana's certificate is not trusted: check the address, or set [grafana] ca_file", code="grafana_tls"
            ) from None
        except (requests.exceptions.RequestException, HTTPError, OSError) as exc:
            raise _no_answer(exc) from None
        refusal = _refusal(response.status_code, method)
        if refusal is not None:
            raise refusal
        return _plain(response.status_code, content)


def _no_answer(exc: Exception) -> Away:
    if isinstance(exc, requests.exceptions.Timeout | ReadTimeout | TimeoutError):
        return Away("Grafana does not answer in time: try again", code="grafana_slow")
    return Away("Grafana does not answer: check that it runs and [grafana] url", code="grafana_away")


def _read(response: Any, deadline_s: float) -> Iterator[bytes]:  # noqa: ANN401
    """The body, bounded. Part by part as it comes: one that trickles in would outlast the time-out of each read."""
    seen = 0
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        seen += len(chunk)
        if seen > _MOST_BYTES:
            raise _useless()
        if time.monotonic() > deadline_s:
            raise Away("Grafana does not answer in time: try again", code="grafana_slow")
        yield chunk


def _refusal(status: int, method: str) -> AccesstrailError | None:
    """Our error for a status; None: it is none."""
    if 200 <= status < 300:
        return None
    if status == 401:
        return Forbidden(
            "Grafana does not know the token: make a service account's token and put it into [grafana] token_file",
            code="grafana_token",
        )
    if status == 403:
        return Forbidden(
            "the token may not do that: its service account needs the role Admin, which a Grafana administrator grants",
            code="grafana_role",
        )
    if status == 404:
        return NotThere("Grafana has nothing there", code="grafana_not_there")
    if status in (409, 412):
        return GrafanaConflict(
            "somebody else changed it in Grafana meanwhile, or it is managed by provisioning files: "
            "look with `accesstrail dashboards diff`, then publish again",
        )
    if status == 429 or status >= 500:
        return Away(f"Grafana cannot serve now (HTTP {status}): try again", code="grafana_busy")
    if status < 400:
        return _useless()
    return UsageError(f"Grafana refuses a {method} (HTTP {status}): see its log", code="grafana_refused")


def _plain(status: int, content: bytes) -> Any:  # noqa: ANN401
    """An answer that the library can take apart: JSON, nothing where there is nothing. Raises: Away: no JSON."""
    content = content.strip() or b"{}"
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        raise _useless() from None
    made = requests.Response()
    made.status_code, made.encoding, made.raw = status, "utf-8", io.BytesIO(content)
    return made
