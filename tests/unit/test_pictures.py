"""Pictures of the guides: each that is named is there, each that is there is named, small enough to be kept."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.pictures import HIGHEST, WIDTH, png_of, size_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
_MOST_BYTES = 1_500_000


def named() -> dict[Path, list[str]]:
    """Every picture that a page shows, and the words beside it for whoever does not see it."""
    found: dict[Path, list[str]] = {}
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            found.setdefault((page.parent / target).resolve(), []).append(words)
    return found


def test_every_picture_is_named_and_every_named_one_is_there() -> None:
    assert sorted(named()) == sorted(FOLDER.iterdir())


def test_every_picture_is_said_in_words_too() -> None:
    assert all(len(words) >= 5 for beside in named().values() for words in beside)


def test_pictures_are_small_in_every_way() -> None:
    files = sorted(FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= _MOST_BYTES
    for file in files:
        width, height = size_of(file)
        assert width == WIDTH, file.name
        assert height <= HIGHEST, file.name


def test_both_languages_are_shown_the_same_pages() -> None:
    pages = {
        language: {file.stem.partition(".")[0] for file in FOLDER.glob(f"*.{language}.png")}
        for language in ("en", "zh")
    }
    assert pages["en"] == pages["zh"]
    assert len(pages["en"]) >= 6


@pytest.mark.parametrize("colours", [1, 2, 32])
def test_a_picture_of_few_colours_keeps_each_of_them(colours: int) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (colours, 3)).astype(np.uint8)
    image = pixels[np.arange(96) % colours].reshape(8, 12, 3)
    assert (decoded(png_of(image)) == image).all()


def test_a_small_patch_far_from_all_others_keeps_its_colour_among_many_shades() -> None:
    image = np.full((100, 200, 3), 255, np.uint8)
    image[:50, :, :] = np.arange(200, dtype=np.uint8)[None, :, None]
    image[60:66, 10:40] = (242, 201, 76)
    assert (decoded(png_of(image))[60:66, 10:40] == (242, 201, 76)).all()


def decoded(png: bytes) -> np.ndarray:
    """Pixels of a PNG with a palette and no filters, read by the standard's chunks (ISO/IEC 15948, 5.3)."""
    parts, at = {}, 8
    while at < len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        parts[kind] = png[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + parts[kind]) == int.from_bytes(png[at + 8 + size : at + 12 + size], "big")
        at += 12 + size
    width, height = (int.from_bytes(parts[b"IHDR"][place : place + 4], "big") for place in (0, 4))
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    palette: np.ndarray = np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)
    return palette[lines[:, 1:]]
