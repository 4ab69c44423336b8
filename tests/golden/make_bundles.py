"""Writes the golden corpus of evidence bundles: `bundles/valid.zip` and `bundles/expected.json`.

The valid bundles are frozen: they are what bundles of format 1 and rows of their versions look like, and verifiers of
later versions must still read them. Run with `--valid` only for a new format or canonical version; without it, after
cases were added: `python -m tests.golden.make_bundles [--valid]`.
"""

from __future__ import annotations

import sys
import zipfile

from tests.bundle_corpus import GOLDEN, write_expected
from tests.bundle_making import VALID

_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_valid() -> None:
    """Every valid bundle, the same bytes each time."""
    GOLDEN.mkdir(exist_ok=True)
    with zipfile.ZipFile(GOLDEN / "valid.zip", "w") as archive:
        for name, make in VALID.items():
            for path, data in sorted(make().files.items()):
                about = zipfile.ZipInfo(f"{name}/{path}", _LONG_AGO)
                about.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(about, data, compresslevel=9)


def main() -> None:
    """The corpus, or its expectations alone."""
    if "--valid" in sys.argv[1:]:
        write_valid()
    write_expected()


if __name__ == "__main__":
    main()
