"""Words of the overview."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "overview.title": ("Overview", "总览"),
}
