"""Pictures of pages, small enough to lie in the repository: PNG (ISO/IEC 15948) with a palette of 32 colours.

Pages have few colours and many shades between letters and paper. Colours that fill much of the picture, and those that
are far from all others, are kept as they are; each other one becomes the nearest of them. Chromium reads its own
picture, so that no library is needed.
"""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

WIDTH, HIGHEST = 1280, 1600
_COLOURS = 32
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_READ = """async (png) => {
  const picture = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const bytes = canvas.getImageData(0, 0, picture.width, picture.height).data;
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return [picture.width, picture.height, btoa(text)];
}"""

Pixels = NDArray[np.uint8]


def picture(page: Page, file: Path, reader: Page) -> None:
    """Writes what the page shows, from its top on; `reader`: an empty page, which may compute what it likes."""
    high = min(HIGHEST, int(page.evaluate("document.documentElement.scrollHeight")))
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": high}
    shot = page.screenshot(full_page=True, clip=clip, animations="disabled")  # type: ignore[arg-type]
    width, height, raw = reader.evaluate(_READ, base64.b64encode(shot).decode())
    pixels = np.frombuffer(base64.b64decode(raw), dtype=np.uint8).reshape(height, width, 4)[:, :, :3]
    file.write_bytes(png_of(pixels))


def png_of(pixels: Pixels) -> bytes:
    """The picture (height, width, RGB) with at most 32 colours."""
    height, width, _ = pixels.shape
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    colours, place, count = np.unique(packed.ravel(), return_inverse=True, return_counts=True)
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.int32)
    kept, index = _palette(rgb, count)
    indices = index[place].reshape(height, width)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)  # filter 0 before each line
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", kept.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def _palette(rgb: NDArray[np.int32], count: NDArray[np.int64]) -> tuple[NDArray[np.int32], Pixels]:
    """The colours that are kept, and which of them stands for each: always the one that now looks worst is added."""
    kept = [int(count.argmax())]
    nearest = ((rgb - rgb[kept[0]]) ** 2).sum(axis=1)
    index = np.zeros(len(rgb), dtype=np.uint8)
    while len(kept) < _COLOURS and nearest.any():
        kept.append(int((nearest * count).argmax()))
        apart = ((rgb - rgb[kept[-1]]) ** 2).sum(axis=1)
        index[apart < nearest] = len(kept) - 1
        nearest = np.minimum(nearest, apart)
    return rgb[kept], index


def size_of(file: Path) -> tuple[int, int]:
    """Width and height of a PNG file, in pixels."""
    head = file.read_bytes()[:24]
    assert head.startswith(_SIGNATURE), f"{file.name} is no PNG"
    width, height = struct.unpack(">II", head[16:24])
    return width, height
