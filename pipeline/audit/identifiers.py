"""What a person types to name somebody or something, as tokens: made here, so that nothing else ever sees the name.

Place in the flow: between a search form or command and the questions of `search.py`. 32 hexadecimal digits are a token
that somebody copied from a page; a name that looks so is written behind `id:`. A resource that is a person has the
person's token, so a resource is looked for under both; and whatever it is, under every version of the token key.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.audit.search import TOKEN_KINDS, token_of
from pipeline.errors import UsageError
from pipeline.privacy.key_file import Keys

ID_MARK = "id:"
LONGEST_IDENTIFIER = 512


@dataclass(frozen=True, slots=True)
class Named:
    """The tokens of what was typed. `identifier`: the name itself, "" where a token was given; kept out of any repr."""

    tokens: tuple[str, ...]
    identifier: str

    def __repr__(self) -> str:
        return f"Named({len(self.tokens)} token(s))"


class TokenMaker:
    """Turns identifiers of one tenant into tokens; role `dashboards.console.ports.Tokens`."""

    def __init__(self, keys: Keys, tenant: str) -> None:
        self._keys, self._tenant = keys, tenant

    def named(self, kind: str, text: str) -> Named:
        """What a text of a kind names: a token, or an identifier. Raises: UsageError: too long; never repeats it."""
        if kind not in (*TOKEN_KINDS, "credential"):
            raise UsageError("there is no such kind of identifier", code="bad_search")
        plain = text.strip()
        token = token_of(plain)
        if token is not None:
            return Named((token,), "")
        plain = plain.removeprefix(ID_MARK).strip()
        if not plain or len(plain) > LONGEST_IDENTIFIER:
            raise UsageError(
                f"{kind}: give an id of 1 to {LONGEST_IDENTIFIER} characters, or a token", code="bad_search"
            )
        kinds = ("resource", "subject") if kind == "resource" else (kind,)
        keyring = self._keys.current
        tokens = (token.hex() for one in kinds for token in keyring.tokens(self._tenant, one, plain))
        return Named(tuple(tokens), plain)
