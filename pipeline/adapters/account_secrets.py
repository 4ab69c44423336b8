"""What accounts are recognised by: passwords (argon2id), one-time codes (TOTP, RFC 6238), recovery codes, tokens.

Place in the flow: used by `adapters/accounts.py` only. Passwords are slow to check by intent; what has 128 random bits
and more needs no slow hash, so tokens and recovery codes are kept as SHA-256. Nothing here is logged, and the one class
that carries secrets does not show them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

TIME_COST, MEMORY_KIB, PARALLELISM = 3, 65_536, 4
"""argon2id: three passes over 64 MiB in four lanes, the second recommendation of RFC 9106 section 4."""

TOKEN_MARK = "atp_"  # noqa: S105  what every token begins with, for scanners of leaked secrets
_TOKEN_BYTES = 32
PREFIX_CHARACTERS = len(TOKEN_MARK) + 8

CODE_STEP_S = 30
_STEPS_APART = 1
"""One step before and one after the present one are taken, for clocks that differ (RFC 6238, 5.2)."""
_TOTP_BYTES = 20
RECOVERY_CODES = 10
_RECOVERY_BYTES = 16
ISSUER = "accesstrail"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor about to be enrolled: what the authenticator app reads. It is shown once."""

    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody presents: a password, and a one-time or recovery code where a second factor is enrolled."""

    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)


class Passwords:
    """Passwords as argon2id. Parameters of a stored hash stand in it, so that they can be raised at any time."""

    def __init__(
        self, *, time_cost: int = TIME_COST, memory_kib: int = MEMORY_KIB, parallelism: int = PARALLELISM
    ) -> None:
        """`memory_kib`: KiB; smaller values are for tests only."""
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
        self._of_nobody: str | None = None

    def hashed(self, password: str) -> str:
        """A salted hash, in the PHC form."""
        return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; where nothing is stored it takes as long and is never."""
        if stored is None:
            # Else the time of the answer would tell which names exist.
            if self._of_nobody is None:
                self._of_nobody = self._hasher.hash(secrets.token_urlsafe(16))
            self._verified(self._of_nobody, password)
            return False
        return self._verified(stored, password)

    def _verified(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than the present ones."""
        return self._hasher.check_needs_rehash(stored)


# -- tokens and recovery codes


def new_token() -> str:
    """A personal token of 256 random bits."""
    return TOKEN_MARK + secrets.token_urlsafe(_TOKEN_BYTES)


def prefix_of(token: str) -> str:
    """What a token is recognised by: its mark and 48 of its 256 bits."""
    return token[:PREFIX_CHARACTERS]


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def new_recovery_codes() -> tuple[str, ...]:
    """Ten codes of 128 bits, in groups of four characters."""
    return tuple(_grouped(secrets.token_hex(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES))


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def recovery_digest(code: str) -> bytes | None:
    """The stored form of a recovery code as typed: blanks, dashes and capitals make no difference; None: it is none."""
    plain = code.replace("-", "").replace(" ", "").lower()
    return digest(plain) if len(plain) == 2 * _RECOVERY_BYTES and plain.isascii() else None


def same(digests: Iterable[bytes], wanted: bytes) -> bytes | None:
    """The one that equals, compared in constant time."""
    found = None
    for one in digests:
        if hmac.compare_digest(one, wanted):
            found = one
    return found


# -- one-time codes


def new_totp_secret() -> str:
    """A shared secret of 160 bits (RFC 4226, R6), base32."""
    return pyotp.random_base32(_TOTP_BYTES * 8 // 5)


def enrolment(secret: str, account: str) -> Enrolment:
    """What the app scans."""
    return Enrolment(pyotp.TOTP(secret, interval=CODE_STEP_S).provisioning_uri(name=account, issuer_name=ISSUER))


def code_of(enrolled: Enrolment, at_us: int) -> str:
    """What an authenticator app that read the enrolment shows at a moment (UTC microseconds): six digits."""
    return str(pyotp.parse_uri(enrolled.uri).generate_otp(at_us // (CODE_STEP_S * 1_000_000)))


def accepted_step(secret: str, code: str, at_us: int, last_step: int) -> int | None:
    """The time step of a right code, None where it is wrong or was used: steps up to `last_step` are gone for good."""
    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        return None
    now = at_us // (CODE_STEP_S * 1_000_000)
    totp = pyotp.TOTP(secret, interval=CODE_STEP_S)
    steps = (step for step in range(max(0, now - _STEPS_APART), now + _STEPS_APART + 1) if step > last_step)
    return next((step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)), None)
