"""What tests of whole systems share with those of single pages: the system's Chromium."""

from __future__ import annotations

from tests.pages.conftest import chromium as chromium
