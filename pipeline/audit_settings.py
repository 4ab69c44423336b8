"""How strictly looks at evidence from a terminal are held to somebody (promise P6).

Place in the flow: read with the rest of the configuration; asked by `pipeline/cli/looking.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """`looks_need_account`: commands that show evidence are refused without an account and a reason."""

    looks_need_account: bool = False
