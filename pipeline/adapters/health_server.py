"""`/livez`, `/readyz` and `/metrics` over HTTP, from threads of the standard library; never in the worker's way.

Adapter without a vendor, over `small_server.py`. It answers GET only. Loopback by default: the pages hold numbers and
codes, no payload and no identifier, but they are nobody's business outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.adapters.small_server import Page, Request, SmallServer

Pages = Mapping[str, Callable[[], Page]]


class HealthServer(SmallServer):
    """Serves pages by path until closed."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        """Binds; port 0, or a port that is taken, means a free one (`address` tells which)."""
        self._pages = pages
        super().__init__(host, port, self._answer, name="health", methods=("GET",))

    def _answer(self, request: Request) -> Page:
        page = self._pages.get(request.path)
        return Page("there are /livez, /readyz and /metrics\n", 404) if page is None else page()
