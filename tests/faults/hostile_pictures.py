"""Hostile PNG, JPEG and TIFF files, made on the fly: name → bytes, with the code that must be told (None: kept)."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, PngImagePlugin
from tests.faults.hostile import ANY, Hostile

SIZE = (64, 48)


def drawn(form: str, mode: str = "L", **how: Any) -> bytes:
    """A small picture of noise."""
    buffer = io.BytesIO()
    Image.effect_noise(SIZE, 50).convert(mode).save(buffer, form, **how)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def claimed(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG whose header claims a size; its pixels are the deflated `body`."""
    header = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def said(**texts: str) -> PngImagePlugin.PngInfo:
    """Text chunks for a PNG."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    return info


def pages(n: int, **how: Any) -> bytes:
    """A TIFF of several pages."""
    images = [Image.effect_noise(SIZE, 50) for _ in range(n)]
    buffer = io.BytesIO()
    images[0].save(buffer, "TIFF", save_all=True, append_images=images[1:], **how)
    return buffer.getvalue()


def circle() -> bytes:
    """A TIFF whose second directory says that the first one follows."""
    data = bytearray(pages(2))
    first = struct.unpack("<L", data[4:8])[0]
    n = struct.unpack("<H", data[first : first + 2])[0]
    link = first + 2 + 12 * n
    second = struct.unpack("<L", data[link : link + 4])[0]
    m = struct.unpack("<H", data[second : second + 2])[0]
    data[second + 2 + 12 * m : second + 6 + 12 * m] = struct.pack("<L", first)
    return bytes(data)


def exif(**tags: Any) -> Image.Exif:
    """EXIF with a few tags by name."""
    made = Image.Exif()
    numbers = {"orientation": 0x0112, "artist": 0x013B, "taken": 0x9003}
    for name, value in tags.items():
        made[numbers[name]] = value
    return made


def pictures() -> Hostile:
    """One file each."""
    png, jpeg, tiff = drawn("PNG"), drawn("JPEG"), drawn("TIFF")
    start = jpeg.index(b"\xff\xda")
    made: Hostile = {
        "good.png": (png, None),
        "good.jpg": (jpeg, None),
        "good.tif": (tiff, None),
        "progressive.jpeg": (drawn("JPEG", progressive=True), None),
        "cmyk.jpg": (drawn("JPEG", "CMYK"), None),
        "bits.tif": (drawn("TIFF", "1", compression="group4"), None),
        "lzw.tif": (drawn("TIFF", "RGB", compression="tiff_lzw"), None),
        "pages.tif": (pages(3), None),
        "upright.jpg": (drawn("JPEG", exif=exif(orientation=6, artist="Doe, Jane")), None),
        "orientation_of_nowhere.jpg": (drawn("JPEG", exif=exif(orientation=77)), None),
        "text.png": (drawn("PNG", pnginfo=said(Comment="Jane Doe", Title="x" * 900_000)), None),
        "text_bomb.png": (png[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000))) + png[33:], "raster_broken"),
        "rubbish_behind.jpg": (jpeg + b"rubbish" * 20, None),
        "jpeg_called.png": (jpeg, None),
        "png_called.dcm": (png, None),
        "without_ending": (tiff, None),
        "empty.png": (b"", "file_empty"),
        "magic.png": (png[:8], "raster_truncated"),
        "magic.jpg": (b"\xff\xd8\xff", "raster_truncated"),
        "magic.tif": (b"II*\0", "raster_broken"),
        "text.jpg": (b"hello" * 50, "raster_not_image"),
        "program.png": (b"MZ" + bytes(3000), "raster_not_image"),
        "page.jpg": (b"<html>502 Bad Gateway</html>", "raster_not_image"),
        "gif.png": (drawn("GIF"), "raster_not_image"),
        "vector.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "raster_not_image"),
        "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "raster_not_image"),
        "bomb.png": (claimed(60_000, 60_000, bytes(50_000_000)), "raster_too_large"),
        "no_width.png": (claimed(0, 9), "raster_broken"),
        "too_few_rows.png": (claimed(64, 64, bytes(65 * 20)), "raster_truncated"),
        "spoiled.png": (png[:60] + bytes([png[60] ^ 255]) + png[61:], "raster_broken"),
        "no_end.png": (png[:-12], "raster_truncated"),
        "no_end.jpg": (jpeg[:-2], "raster_truncated"),
        "header_only.jpg": (jpeg[:start], "raster_truncated"),
        "half_with_an_end.jpg": (jpeg[: start + (len(jpeg) - start) // 2] + b"\xff\xd9", ANY),
        "half.tif": (tiff[: len(tiff) // 2], ANY),
        "circle.tif": (circle(), ANY),
        "many_pages.tif": (pages(40)[:-3000], ANY),
        "spoiled_lzw.tif": (_spoiled(drawn("TIFF", compression="tiff_lzw")), ANY),
    }
    for form, data in (("png", png), ("jpg", jpeg), ("tif", tiff)):
        for n in range(1, 8):
            made[f"cut_{n}.{form}"] = (data[: len(data) * n // 8], ANY)
    return made


def _spoiled(data: bytes) -> bytes:
    changed = bytearray(data)
    for at in range(len(data) // 2, len(data) // 2 + 40):
        changed[at] ^= 0x5A
    return bytes(changed)
