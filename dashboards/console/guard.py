"""What stands in front of every route: who asks, what it takes, the form's token, the read trail; then the page.

Place in the flow: between Starlette and a handler, for each row of `routes.py`. Everything that may block (accounts,
store, Kafka, rendering) runs in one thread of the pool; only the form is read before. Refusals are pages in the
viewer's language with a code.
"""

from __future__ import annotations

import hmac
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from dashboards.console.errors import not_done, plain_error
from dashboards.console.ports import Parts
from dashboards.console.rendering import Renderer, is_zone
from dashboards.console.routes import PUBLIC, SIGNED_IN, UNFINISHED, Route
from dashboards.console.security import ROUTE
from dashboards.console.sessions import ABSOLUTE_US, Session, Sessions
from dashboards.console.visit import Answer, Download, Evidence, Fields, LiveState, Page, Redirect, Stream, Visit
from dashboards.console.words import TAGS, language_of
from pipeline.accounts.model import Account
from pipeline.accounts.permissions import ACTIONS, may
from pipeline.audit.reads import DENIED, PAGE, Read
from pipeline.errors import AccesstrailError, Forbidden
from pipeline.web_requests import Rates

_log = logging.getLogger(__name__)

LANGUAGE_COOKIE, ZONE_COOKIE = "accesstrail_language", "accesstrail_zone"
LOGINS_A_MINUTE = 10
OF_SESSION_A_MINUTE = 600
_YEAR_S = 365 * 86_400
_MOST_FIELDS = 300
_LONGEST_QUERY = 4_000

Streamed = Callable[[str, Visit], Response]
"""Makes the response of a `Stream`: its topic and the visit."""


class Refused(Exception):
    """The guard lets a request go no further."""

    def __init__(self, status: int, code: str, values: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.status, self.code, self.values = status, code, values


class Guard:
    """Makes Starlette endpoints of the table's rows."""

    def __init__(
        self, parts: Parts, sessions: Sessions, live: LiveState, renderer: Renderer, streamed: Streamed
    ) -> None:
        self._parts, self._sessions, self._live = parts, sessions, live
        self._renderer, self._streamed = renderer, streamed
        self._is_secure = parts.public_address.startswith("https://")
        self._logins, self._of_session = Rates(LOGINS_A_MINUTE), Rates(OF_SESSION_A_MINUTE)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; `__Host-` ties it to this host, where TLS makes that possible (RFC 6265bis)."""
        return "__Host-accesstrail" if self._is_secure else "accesstrail_session"

    def endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        """What Starlette calls for a row."""

        async def answer(request: Request) -> Response:
            request.scope[ROUTE] = route.path
            form = Fields()
            if route.method == "POST":
                async with request.form(max_files=0, max_fields=_MOST_FIELDS) as sent:
                    form = _fields_of(sent)
            return await run_in_threadpool(self._served, route, request, form)

        return answer

    # -- in a thread

    def _served(self, route: Route, request: Request, form: Fields) -> Response:
        visit = self.visit(request, form)
        try:
            visit = self._known(visit, request)
            if (elsewhere := self._let_in(route, visit)) is not None:
                return self._response(elsewhere, visit)
            self._check_form(route, visit, request)
            self._admit(route, visit)
            answer = self._told(route, visit, route.handler(visit))
            return self._response(answer, visit)
        except Refused as exc:
            return self._page(plain_error(exc.status, exc.code, *exc.values), visit)
        except AccesstrailError as exc:
            _log.info("not done: route=%s code=%s", route.path, exc.code)
            return self._page(not_done(exc, visit), visit)

    def visit(self, request: HTTPConnection, form: Fields | None = None) -> Visit:
        """The visit of a request, of nobody yet."""
        cookies = request.cookies
        zone = cookies.get(ZONE_COOKIE, "")
        query = request.url.query[:_LONGEST_QUERY]
        return Visit(
            parts=self._parts,
            sessions=self._sessions,
            live=self._live,
            account=None,
            session=None,
            language=language_of(request.headers.get("accept-language", ""), cookies.get(LANGUAGE_COOKIE, "")),
            zone=zone if zone and is_zone(zone) else self._parts.zone,
            path=dict(request.path_params),
            query=_query_of(query),
            form=form or Fields(),
            is_fragment=request.headers.get("hx-request") == "true",
            method_is_get=request.scope["method"] in ("GET", "HEAD"),
            here=request.url.path + (f"?{query}" if query else ""),
            address=request.client.host if request.client else "unknown",
            now_us=self._parts.now_us(),
        )

    def _known(self, visit: Visit, request: Request) -> Visit:
        """With whoever is signed in; a session whose account's standing has changed is over."""
        session = self._sessions.find(request.cookies.get(self.cookie, ""))
        if session is None:
            return visit
        account, standing = self._parts.accounts.standing(session.account)
        if standing != session.standing or not account.is_active:
            self._sessions.end(session)
            return visit
        if not self._of_session.takes(session.csrf, visit.now_us):
            raise Refused(429, "too_many")
        return replace(visit, account=account, session=session)

    def _let_in(self, route: Route, visit: Visit) -> Redirect | None:
        """None: go on. Raises: Refused."""
        if route.is_login and not self._logins.takes(visit.address, visit.now_us):
            raise Refused(429, "too_many")
        if route.needs == PUBLIC:
            return None
        if visit.account is None:
            back = f"?next={quote(visit.here, safe='/')}" if route.method == "GET" and not visit.is_fragment else ""
            return Redirect(f"/login{back}")
        if route.needs == UNFINISHED:
            return None
        if is_unfinished(visit.account):
            return Redirect("/welcome")
        if route.needs != SIGNED_IN and not may(visit.account.roles, route.needs):
            self._tell_refused(route, visit)
            raise Refused(403, "forbidden", (route.needs, " / ".join(ACTIONS[route.needs].roles)))
        return None

    def _check_form(self, route: Route, visit: Visit, request: Request) -> None:
        """The token of the session, with every form and every request of htmx that changes something."""
        if route.method != "POST" or visit.session is None:
            return
        given = request.headers.get("x-csrf-token") or visit.form.secret("csrf")
        if not hmac.compare_digest(given.encode(), visit.session.csrf.encode()):
            raise Refused(403, "csrf")

    def _admit(self, route: Route, visit: Visit) -> None:
        """Before anything is asked. Raises: Forbidden: the account has looked at as much as a day allows; Away."""
        if not route.shows_evidence:
            return
        try:
            self._parts.trail.admit(visit.who.name, visit.now_us)
        except Forbidden:
            self._tell_refused(route, visit)
            raise

    def _tell_refused(self, route: Route, visit: Visit) -> None:
        """A look that was refused is in the log, too; of which page, since nothing was asked yet."""
        if route.shows_evidence:
            read = Read(
                look=PAGE, account=visit.who.name, read_id=str(uuid.uuid4()), at_us=visit.now_us, rows=0,
                about=route.path, outcome=DENIED, src_ip=visit.address,
            )  # fmt: skip
            self._parts.trail.refused(read)

    def _told(self, route: Route, visit: Visit, answer: Answer) -> Answer:
        """What leaves: evidence only after its read is acknowledged.

        Raises: Away: it is not; Forbidden: it has more rows than the account's day allows.
        """
        if not isinstance(answer, Evidence):
            if route.shows_evidence and isinstance(answer, Page | Download) and getattr(answer, "status", 200) < 400:
                raise RuntimeError(f"{route.path} shows a page whose read is not told")
            return answer
        if not route.shows_evidence:
            raise RuntimeError(f"{route.path} shows evidence and its row does not say so")
        read = Read(
            look=answer.look, account=visit.who.name, read_id=str(uuid.uuid4()), at_us=visit.now_us,
            rows=answer.rows, about=answer.about, reason=answer.reason, subject_ids=answer.subject_ids,
            unmasked=answer.unmasked, src_ip=visit.address, case_ref=answer.case_ref,
            approval_ref=answer.approval_ref, fingerprint=answer.fingerprint,
        )  # fmt: skip
        try:
            self._parts.trail.tell(read)
        except Forbidden:
            self._parts.trail.refused(read.denied())
            raise
        return answer.page

    # -- answers

    def _response(self, answer: Answer, visit: Visit) -> Response:
        if isinstance(answer, Redirect):
            return self._redirect(answer, visit)
        if isinstance(answer, Stream):
            return self._streamed(answer.topic, visit)
        if isinstance(answer, Download):
            named = {"Content-Disposition": f'attachment; filename="{answer.name}"'}
            return Response(answer.body, media_type=answer.media_type, headers=named)
        assert isinstance(answer, Page)  # noqa: S101  evidence was told and taken out of its cover
        return self._page(answer, visit)

    def _page(self, page: Page, visit: Visit) -> Response:
        rendered = self._renderer.render(page, visit)
        headers = {"Content-Language": TAGS[rendered.language], "Vary": "Accept-Language, Cookie, HX-Request"}
        if rendered.status == 429:
            headers["Retry-After"] = "60"
        return HTMLResponse(rendered.html, rendered.status, headers)

    def _redirect(self, answer: Redirect, visit: Visit) -> Response:
        # htmx follows a redirection by itself and would put the whole page into a part of one.
        response: Response = (
            Response(status_code=204, headers={"HX-Redirect": answer.to})
            if visit.is_fragment
            else RedirectResponse(answer.to, 303)
        )
        if answer.signed_in is not None:
            self._set_session(response, answer.signed_in)
        if answer.signed_out:
            response.delete_cookie(self.cookie, path="/", secure=self._is_secure, httponly=True, samesite="lax")
        for name, value in answer.cookies.items():
            response.set_cookie(name, value, max_age=_YEAR_S, path="/", secure=self._is_secure, samesite="lax")
        return response

    def _set_session(self, response: Response, session: Session) -> None:
        """Lax, not Strict: links in messages and in Grafana lead here, and nothing changes by a GET."""
        response.set_cookie(
            self.cookie, session.session_id, max_age=ABSOLUTE_US // 1_000_000, path="/", secure=self._is_secure,
            httponly=True, samesite="lax",
        )  # fmt: skip
        session.session_id = ""

    # -- outside of any route

    def error_page(self, scope: Scope, status: int, code: str) -> Response:
        """The page of a refusal that no handler made."""
        return self._page(plain_error(status, code), self.visit(HTTPConnection(scope)))

    async def http_error(self, request: Request, exc: Exception) -> Response:
        """No such page, or not this method, or a form that cannot be read."""
        assert isinstance(exc, HTTPException)  # noqa: S101  registered for nothing else
        code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "bad_request")
        response = await run_in_threadpool(self.error_page, request.scope, exc.status_code, code)
        response.headers.update(dict(exc.headers or {}))
        return response


def is_unfinished(account: Account) -> bool:
    """Whether an account must set a password of its own or a second factor before it sees anything."""
    return account.must_change or not account.totp_enrolled


def _query_of(query: str) -> Fields:
    try:
        return _grouped(parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return Fields()


def _fields_of(form: FormData) -> Fields:
    return _grouped([(name, value) for name, value in form.multi_items() if isinstance(value, str)])


def _grouped(pairs: list[tuple[str, str]]) -> Fields:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return Fields(found)
