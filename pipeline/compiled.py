"""Compiled functions: kept between runs where a folder for that can be written, else compiled at each start.

Place in the flow: under everything that numba compiles. numba keeps what it compiled beside the code or in the user's
cache, and refuses to compile where it may write neither: an installation of another user, an account without a home, a
container whose files cannot be changed. An auditor's verification must run there too, so there it goes without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """The function, compiled when it is first called with arguments of some types."""
    try:
        made = numba.njit(cache=True)(function)
    except RuntimeError:  # no folder for the cache can be written
        made = numba.njit(function)
    return cast(_Function, made)
