"""What should be in Grafana, how it differs from what is there, and putting it there; twice changes nothing.

Place in the flow: `accesstrail dashboards publish` and `diff`, through `client.py`. Each piece (folder, permissions,
data source, dashboards, contact point, alert rules) is looked at first and written only where it differs. What Grafana
adds by itself is no difference; what it has other than we, or more of in a list, is one. Differences are named by their
place, never by value: a data source and a contact point hold secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dashboards.grafana.alert_rules import GROUP, group_body, rules
from dashboards.grafana.build import DATA_SOURCE_NAME, DATA_SOURCE_UID, PLUGIN, TAG, dashboard
from dashboards.grafana.client import Grafana, GrafanaConflict
from dashboards.grafana.views import Json, Language, uid_of
from dashboards.panels.panel import Board

FOLDER_UID = "accesstrail"
FOLDER_TITLE = "accesstrail"
CONTACT_NAME = "accesstrail"
_CONTACT_UID = "accesstrail-contact"
_VIEW = 1
_MOST_PLACES = 20
State = Literal["same", "missing", "differs"]


@dataclass(frozen=True, slots=True)
class Store:
    """How Grafana reaches the store, and as whom. The password is no part of its representation."""

    host: str
    port: int
    database: str
    tls: bool
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom alert rules tell. `kind` none: whoever Grafana's default policy says."""

    kind: str = "none"
    address: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The contact point's name; "" where there is none of ours."""
        return "" if self.kind == "none" else CONTACT_NAME


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that should be there. `everyone`: all of the organisation may look, else only who may edit."""

    boards: Sequence[Board]
    languages: Sequence[Language]
    zone: str
    store: Store
    contact: Contact = Contact()
    everyone: bool = False
    silence_after_s: int = 86_400


@dataclass(frozen=True, slots=True)
class Look:
    """One piece: how it stands, and the places where it differs."""

    kind: str
    name: str
    state: State
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: str
    name: str
    look: Callable[[], Look]
    write: Callable[[], None]


def differences(grafana: Grafana, wanted: Wanted) -> list[Look]:
    """How each piece stands. Raises: as `Grafana`'s methods."""
    return [piece.look() for piece in _pieces(grafana, wanted)]


def publish(grafana: Grafana, wanted: Wanted, *, renew_password: bool = False) -> list[Look]:
    """Writes what differs; returns how each piece stood before. `renew_password`: sends the data source's in any case,
    since nobody can ask Grafana which one it has.

    Raises: as `Grafana`'s methods; GrafanaConflict: something there is not ours, or belongs to provisioning files.
    """
    found = []
    for piece in _pieces(grafana, wanted):
        stood = piece.look()
        if stood.state != "same" or (renew_password and piece.kind == "data source"):
            piece.write()
        found.append(stood)
    return found


def _pieces(grafana: Grafana, wanted: Wanted) -> Iterator[_Piece]:
    yield _folder(grafana)
    yield _permissions(grafana, everyone=wanted.everyone)
    yield _data_source(grafana, wanted.store)
    for language in wanted.languages:
        for board in wanted.boards:
            yield _dashboard(grafana, dashboard(board, language, zone=wanted.zone), board, language)
    if wanted.contact.name:
        yield _contact_point(grafana, wanted.contact)
    yield _rule_group(grafana, wanted)


def _folder(grafana: Grafana) -> _Piece:
    def look() -> Look:
        return _compared("folder", FOLDER_TITLE, {"title": FOLDER_TITLE}, grafana.folder(FOLDER_UID))

    def write() -> None:
        there = grafana.folder(FOLDER_UID)
        if there is None:
            grafana.create_folder(FOLDER_UID, FOLDER_TITLE)
        else:
            grafana.rename_folder(FOLDER_UID, FOLDER_TITLE, int(there.get("version", 0)))

    return _Piece("folder", FOLDER_TITLE, look, write)


def _permissions(grafana: Grafana, *, everyone: bool) -> _Piece:
    """Nobody edits: the next publication would undo it. Administrators always may."""
    items: list[Json] = [{"role": role, "permission": _VIEW} for role in ("Viewer", "Editor")[not everyone :]]

    def look() -> Look:
        if grafana.folder(FOLDER_UID) is None:
            return Look("permissions", FOLDER_TITLE, "missing")
        found = {_holder(one): one.get("permission") for one in grafana.folder_permissions(FOLDER_UID)}
        wanted = {_holder(one): one["permission"] for one in items}
        found.pop("role Admin", None)
        places = tuple(sorted(who for who in {*found, *wanted} if found.get(who) != wanted.get(who)))
        return Look("permissions", FOLDER_TITLE, "differs" if places else "same", places)

    return _Piece("permissions", FOLDER_TITLE, look, lambda: grafana.set_folder_permissions(FOLDER_UID, items))


def _holder(item: Json) -> str:
    """Whom a permission is for; a person or team by number, never by name."""
    if item.get("role"):
        return f"role {item['role']}"
    return f"team {item['teamId']}" if item.get("teamId") else f"user {item.get('userId')}"


def data_source_body(store: Store) -> Json:
    """The data source without its password, as API and provisioning file have it."""
    return {
        "uid": DATA_SOURCE_UID, "name": DATA_SOURCE_NAME, "type": PLUGIN, "access": "proxy", "isDefault": False,
        "jsonData": {
            "host": store.host, "port": store.port, "protocol": "native", "secure": store.tls, "tlsSkipVerify": False,
            "username": "grafana", "defaultDatabase": store.database, "dialTimeout": "10", "queryTimeout": "30",
            # Silently cut answers would be wrong numbers.
            "enableRowLimit": False,
        },
    }  # fmt: skip


def _data_source(grafana: Grafana, store: Store) -> _Piece:
    body = data_source_body(store)

    def look() -> Look:
        there = grafana.data_source(DATA_SOURCE_UID)
        return _compared("data source", DATA_SOURCE_NAME, body | {"secureJsonFields": {"password": True}}, there)

    def write() -> None:
        there = grafana.data_source(DATA_SOURCE_UID)
        sent = body | {"secureJsonData": {"password": store.password}}
        if there is None:
            grafana.create_data_source(sent)
            return
        _refuse_provisioned("the data source", provisioned=bool(there.get("readOnly")))
        if there.get("type") != PLUGIN:
            raise GrafanaConflict(f"a data source of another kind has the uid {DATA_SOURCE_UID}: remove it first")
        grafana.update_data_source(DATA_SOURCE_UID, sent)

    return _Piece("data source", DATA_SOURCE_NAME, look, write)


def _dashboard(grafana: Grafana, built: Json, board: Board, language: Language) -> _Piece:
    name, uid = f"{board.uid} ({language})", uid_of(board.uid, language)
    ours = {key: value for key, value in built.items() if key != "id"}

    def look() -> Look:
        there = grafana.dashboard(uid)
        if there is None:
            return Look("dashboard", name, "missing")
        meta, stored = there.get("meta") or {}, there.get("dashboard")
        found = _compared("dashboard", name, ours, stored if isinstance(stored, dict) else {})
        if meta.get("folderUid") == FOLDER_UID:
            return found
        return Look("dashboard", name, "differs", ("folder", *found.places))

    def write() -> None:
        there = grafana.dashboard(uid)
        sent = dict(built)
        if there is not None:
            stored = there.get("dashboard") or {}
            _refuse_provisioned(f"dashboard {uid}", provisioned=bool((there.get("meta") or {}).get("provisioned")))
            if TAG not in (stored.get("tags") or ()):
                raise GrafanaConflict(f"the dashboard {uid} is not one of accesstrail: rename or remove it first")
            sent |= {"id": stored.get("id"), "version": stored.get("version")}
        grafana.save_dashboard(sent, folder=FOLDER_UID, message="accesstrail dashboards publish")

    return _Piece("dashboard", name, look, write)


def contact_point_body(contact: Contact) -> Json:
    """The contact point as the API takes it."""
    settings: Json = {"url": contact.address, "httpMethod": "POST"}
    if contact.kind == "email":
        settings = {"addresses": contact.address, "singleEmail": True}
    return {
        "uid": _CONTACT_UID, "name": CONTACT_NAME, "type": contact.kind, "settings": settings,
        "disableResolveMessage": False,
    }  # fmt: skip


def _contact_point(grafana: Grafana, contact: Contact) -> _Piece:
    body = contact_point_body(contact)

    def there() -> Json | None:
        found = grafana.contact_points(CONTACT_NAME)
        return next((one for one in found if one.get("uid") == _CONTACT_UID), None)

    def write() -> None:
        if there() is None:
            grafana.create_contact_point(body)
        else:
            grafana.update_contact_point(_CONTACT_UID, body)

    return _Piece("contact point", CONTACT_NAME, lambda: _compared("contact point", CONTACT_NAME, body, there()), write)


def _rule_group(grafana: Grafana, wanted: Wanted) -> _Piece:
    chosen = rules(silence_after_s=wanted.silence_after_s)
    body = group_body(chosen, folder=FOLDER_UID, receiver=wanted.contact.name)
    # Whatever number the organisation has there.
    ours = body | {"rules": [{key: one[key] for key in one if key != "orgID"} for one in body["rules"]]}

    def look() -> Look:
        return _compared("alert rules", GROUP, ours, grafana.rule_group(FOLDER_UID, GROUP))

    return _Piece("alert rules", GROUP, look, lambda: grafana.put_rule_group(FOLDER_UID, GROUP, body))


def _refuse_provisioned(what: str, *, provisioned: bool) -> None:
    if provisioned:
        raise GrafanaConflict(f"{what} belongs to provisioning files there: change those, or remove them first")


def _compared(kind: str, name: str, ours: Json, theirs: Json | None) -> Look:
    if theirs is None:
        return Look(kind, name, "missing")
    places = list(_places(ours, theirs, ""))
    if len(places) > _MOST_PLACES:
        places = [*places[:_MOST_PLACES], f"… and {len(places) - _MOST_PLACES} more"]
    return Look(kind, name, "differs" if places else "same", tuple(places))


def _places(ours: object, theirs: object, path: str) -> Iterator[str]:
    """Where what is there is not what should be. Grafana leaves out what is empty and spells durations its own way."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _places(value, theirs.get(key), f"{path}.{key}" if path else key)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _places(one, other, f"{path}[{number}]")
    elif not _same(ours, theirs, path):
        yield path


def _same(ours: object, theirs: object, path: str) -> bool:
    if theirs is None:
        return ours in (None, "", False, 0, [], {})
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if path.endswith(".for") and isinstance(theirs, str):
        return theirs in (ours, f"{ours}0s")
    return ours == theirs
