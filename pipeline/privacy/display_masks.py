"""How an identity is shown in part, by who looks: enough to recognise somebody known already, too little to name them.

Place in the flow: between the vault, or the directory, and a page or terminal; nothing masked is stored from here. Two
policies, named, one for each kind of reader:

    what              responder             auditor
    mobile            138****1234           138****1234           first three, last four
    identity number   110*************2X    110101********002X    3 + 2; 6 + 4 leaves about 2,420 candidates
    bank card         ************1111      622202******1111      last four; from 16 digits on 6 + 4 (PCI DSS 3.4.1)
    passport          E******78             E******78             first, last two
    e-mail            d****@example.com     da****@example.com    first one or two of five or six, and the domain
    any other id      c****23               c-****23              ends, of seven or eight characters and more

At least four characters are hidden, and of any other id how many; what is too short to keep its ends is hidden whole.
A masked identity is still personal data to somebody who knows the person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping

from pipeline.errors import Forbidden
from pipeline.privacy.masks import is_identity_number, luhn_valid, mask_text

HIDDEN = "****"
RESPONDER, AUDITOR = "responder", "auditor"
_POLICY_OF_ROLE = {"soc": RESPONDER, "responder": RESPONDER, "auditor": AUDITOR, "dpo": AUDITOR}
_SHORTEST_ID, _SHORTEST_ID_OF_AUDITOR = 7, 8
_LONG_CARD = 16
_GAPS = re.compile(r"[\s\-]+")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")


def policy_of(roles: Collection[str]) -> str:
    """The policy of somebody's roles, the wider one of several. Raises: Forbidden: they see no identity."""
    found = {_POLICY_OF_ROLE[role] for role in roles if role in _POLICY_OF_ROLE}
    if not found:
        raise Forbidden("none of your roles sees part of an identity")
    return AUDITOR if AUDITOR in found else RESPONDER


def masked(identity: str, policy: str) -> str:
    """The identity as the policy shows it. Total: never raises for any text.

    >>> masked("c-18823", "responder")
    'c****23'
    """
    plain = unicodedata.normalize("NFKC", identity).strip()
    return _MASKERS[policy](plain)


def _for_responder(plain: str) -> str:
    return _address(plain, 1) or _number(plain) or _ends(plain, 1, _SHORTEST_ID)


def _for_auditor(plain: str) -> str:
    digits = _GAPS.sub("", plain).upper()
    is_card = len(digits) >= _LONG_CARD and digits.isascii() and digits.isdigit() and luhn_valid(digits)
    if is_card or is_identity_number(digits):
        return digits[:6] + "*" * (len(digits) - 10) + digits[-4:]
    return _address(plain, 2) or _number(plain) or _ends(plain, 2, _SHORTEST_ID_OF_AUDITOR)


def _address(plain: str, shown: int) -> str:
    """An e-mail address, of which the name keeps its first characters if four more are hidden; "" for anything else."""
    name, _, domain = plain.rpartition("@")
    if not _EMAIL.fullmatch(plain):
        return ""
    return f"{name[:shown] if len(name) >= shown + len(HIDDEN) else ''}{HIDDEN}@{domain}"


def _number(plain: str) -> str:
    """What holds a personal number, as it would be stored in a free text; "" for anything else."""
    known = mask_text(plain)
    return known if known != plain and "@" not in plain else ""


def _ends(plain: str, first: int, shortest: int) -> str:
    return f"{plain[:first]}{HIDDEN}{plain[-2:]}" if len(plain) >= shortest else HIDDEN


_MASKERS: Mapping[str, Callable[[str], str]] = {RESPONDER: _for_responder, AUDITOR: _for_auditor}
