"""Coming in and going out: login, the first account, a password and a second factor of one's own, language.

Place in the flow: the only pages that are shown before an account is set up. Every refusal of a login has the same
words and the same status, whatever was wrong; the accounts' layer says them after the same time.
"""

from __future__ import annotations

import segno

from dashboards.console.errors import refusal
from dashboards.console.first_link import is_valid
from dashboards.console.outages import ACCOUNTS
from dashboards.console.visit import Answer, Page, Redirect, Visit, same_site
from dashboards.console.words import LANGUAGES
from pipeline.accounts.model import Account
from pipeline.errors import Forbidden, UsageError

LANGUAGE_COOKIE = "accesstrail_language"


def home(visit: Visit) -> Answer:
    """The first page of whoever is signed in."""
    return Redirect("/overview")


def login_page(visit: Visit) -> Answer:
    """The form."""
    if visit.account is not None:
        return Redirect(same_site(visit.query.text("next"), "/"))
    said = {"out": "login.out"}.get(visit.query.text("why"), "login.ended" if visit.query.text("next") else "")
    return _login(visit, said=said)


def _login(visit: Visit, *, said: str = "", refused: str = "", status: int = 200) -> Page:
    values = {
        "title": "login.title", "said": said, "refused": refused,
        "next": same_site(visit.query.text("next") or visit.form.text("next"), "/"),
        "is_empty": visit.parts.accounts.is_empty(),
    }  # fmt: skip
    return Page("login.html", values, status)


def login(visit: Visit) -> Answer:
    """Takes name, password and code; a new session in any case, so that no known cookie becomes one."""
    name, password = visit.form.text("name", longest=64), visit.form.secret("password")
    code = visit.form.text("code", longest=64).replace(" ", "") or None
    try:
        account = visit.parts.accounts.login(name, password, code, visit.now_us)
    except Forbidden as exc:
        return _login(visit, refused=refusal(exc, visit.language), status=403)
    visit.parts.outages.worked(ACCOUNTS)
    return _signed_in(visit, account, password, same_site(visit.form.text("next"), "/"))


def _signed_in(visit: Visit, account: Account, password: str, to: str) -> Redirect:
    """A session; where a second factor is missing, one is begun while the password is at hand."""
    enrolment = ""
    if not account.totp_enrolled and not account.must_change:
        enrolment = visit.parts.accounts.begin_totp(account.name, password, visit.now_us)
    _, standing = visit.parts.accounts.standing(account.name)
    if visit.session is not None:
        visit.sessions.end(visit.session)
    session = visit.sessions.begin(account.name, standing)
    session.enrolment = enrolment
    is_finished = account.totp_enrolled and not account.must_change
    return Redirect(to if is_finished else "/welcome", signed_in=session)


def logout(visit: Visit) -> Answer:
    """Ends the session."""
    if visit.session is not None:
        visit.sessions.end(visit.session)
    return Redirect("/login?why=out", signed_out=True)


def choose_language(visit: Visit) -> Answer:
    """Keeps the language in a cookie and goes back to where the viewer was."""
    chosen = visit.form.text("language")
    to = same_site(visit.form.text("next"), "/")
    return Redirect(to, cookies={LANGUAGE_COOKIE: chosen} if chosen in LANGUAGES else {})


# -- the first account


def first_page(visit: Visit) -> Answer:
    """The form that makes the first account; looking at it uses nothing up."""
    if not is_valid(visit.parts, visit.path["secret"], visit.now_us):
        return _gone()
    return _first(visit)


def _gone() -> Page:
    return Page("message.html", {"title": "first.title", "said": "first.gone", "kind": "refused"}, 404)


def _first(visit: Visit, *, refused: str = "", status: int = 200) -> Page:
    values = {"title": "first.title", "refused": refused, "secret": visit.path["secret"]}
    return Page("first.html", values, status)


def make_first(visit: Visit) -> Answer:
    """Makes the account, signs its owner in and begins the second factor."""
    if not is_valid(visit.parts, visit.path["secret"], visit.now_us):
        return _gone()
    name, password = visit.form.text("name", longest=64), visit.form.secret("password")
    if password != visit.form.secret("again"):
        return _first(visit, refused="password.differ", status=400)
    try:
        account = visit.parts.accounts.add_first(name, password, visit.now_us)
    except UsageError as exc:
        return _first(visit, refused=refusal(exc, visit.language), status=400)
    return _signed_in(visit, account, password, "/")


# -- what an account must do before it sees anything


def welcome(visit: Visit) -> Answer:
    """The next step of setting up, or the first page where nothing is left to do."""
    session, account = visit.session, visit.who
    assert session is not None  # noqa: S101  the guard lets nobody else in
    if session.recovery_codes:
        codes, session.recovery_codes = session.recovery_codes, ()
        return Page("recovery_codes.html", {"title": "totp.codes.title", "codes": codes})
    if account.must_change:
        return _password(visit)
    if not account.totp_enrolled:
        return _totp(visit)
    return Redirect("/")


def _password(visit: Visit, *, refused: str = "", status: int = 200) -> Page:
    return Page("set_password.html", {"title": "password.title", "refused": refused}, status)


def _totp(visit: Visit, *, refused: str = "", status: int = 200) -> Page:
    assert visit.session is not None  # noqa: S101
    address = visit.session.enrolment
    if not address:
        return Page("message.html", {"title": "totp.title", "said": "totp.again", "kind": "refused"})
    values = {"title": "totp.title", "refused": refused, "qr": qr_code(address), "key": _key_of(address)}
    return Page("enrol_totp.html", values, status)


def _key_of(address: str) -> str:
    """The shared secret in an `otpauth:` address, in groups of four for typing."""
    key = address.partition("secret=")[2].partition("&")[0]
    return " ".join(key[start : start + 4] for start in range(0, len(key), 4))


def qr_code(text: str) -> str:
    """A QR code (ISO/IEC 18004) as an image of a data address: our policy allows no inline style."""
    code = segno.make(text, error="m", micro=False)
    return code.svg_data_uri(scale=5, border=4, light="#ffffff", dark="#000000")


def set_password(visit: Visit) -> Answer:
    """The owner replaces a password that somebody else has set."""
    refused = changed_password(visit)
    if refused:
        return _password(visit, refused=refused, status=400)
    account, _ = visit.parts.accounts.standing(visit.who.name)
    return _signed_in(visit, account, visit.form.secret("new"), "/")


def changed_password(visit: Visit) -> str:
    """Sets the password that the form holds; returns why not, "" where it is set. Other sessions end by themselves."""
    new, code = visit.form.secret("new"), visit.form.text("code", longest=64).replace(" ", "") or None
    if new != visit.form.secret("again"):
        return "password.differ"
    try:
        visit.parts.accounts.change_password(visit.who.name, visit.form.secret("old"), code, new, visit.now_us)
    except Forbidden as exc:
        return refusal(exc, visit.language)
    except UsageError as exc:
        return refusal(exc, visit.language)
    return ""


def confirm_totp(visit: Visit) -> Answer:
    """Enrols the second factor; the session goes on under the account's new standing, with a new id."""
    code, password = visit.form.text("code", longest=64).replace(" ", ""), visit.form.secret("password")
    if visit.who.totp_enrolled:
        return Redirect("/welcome")
    try:
        codes = visit.parts.accounts.confirm_totp(visit.who.name, password, code, visit.now_us)
    except Forbidden as exc:
        return _totp(visit, refused=refusal(exc, visit.language), status=400)
    except UsageError as exc:
        return _totp(visit, refused=refusal(exc, visit.language), status=400)
    account, _ = visit.parts.accounts.standing(visit.who.name)
    answer = _signed_in(visit, account, password, "/welcome")
    assert answer.signed_in is not None  # noqa: S101
    answer.signed_in.recovery_codes = codes
    return answer
