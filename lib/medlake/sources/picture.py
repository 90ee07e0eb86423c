"""What a PNG, JPEG or TIFF is, by its content: decoded whole, so that a cut or spoiled one is seen.

The format is known by the first bytes, never by the name. Sizes are judged by the header before a pixel is
unpacked: a picture of 50 KB can otherwise fill the memory. Formats: PNG (W3C, third edition), JPEG (ITU-T T.81),
TIFF 6.0.
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from medlake.sources.reading import CHUNK, Refused

FORMATS = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
}  # fmt: skip
NAMED = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "TIFF": (".tif", ".tiff")}
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
PNG_DEPTH_AT = 24  # byte of IHDR that tells the bits of a sample
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples a pixel
TIFF_BITS = 258  # BitsPerSample
ORIENTATION = 0x0112  # EXIF and TIFF: 1 upright … 8

MAX_FILE_BYTES = 512 * 1024**2
MAX_PIXEL_BYTES = 512 * 1024**2  # of one page, unpacked: a 16k × 16k radiograph of 16 bits
MAX_TOTAL_BYTES = 4 * 1024**3  # of all pages, unpacked one by one
MAX_PAGES = 4_096
MAX_SAID_CHARS = 64 * 1024  # of EXIF and text chunks that are kept


def inspected(path: str) -> dict[str, Any]:
    """The columns of bronze.raster_image that the content tells.

    `width` and `height` are as stored: `orientation` above 4 swaps them for whoever looks. `bit_depth` is of one
    sample. `pixels_sha256`: of the decoded pixels of all pages. `said_json`: EXIF and text chunks.

    Raises:
        Refused: `raster_not_image`, `raster_truncated`, `raster_too_large`, `raster_broken` or `file_empty`.
    """
    data = _bytes_of(Path(path))
    form = next((name for magic, name in FORMATS.items() if data.startswith(magic)), None)
    if form is None:
        raise Refused("raster_not_image", "The first bytes are neither of PNG nor of JPEG nor of TIFF.")
    _check_end(data, form)
    Image.MAX_IMAGE_PIXELS = None  # the caps of this module hold, in bytes and before anything is unpacked
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote what the file says
        try:
            if form == "PNG":
                with Image.open(path, formats=[form]) as image:
                    _page_bytes(image)
                    image.verify()  # the checksums of all chunks
                    _check_rows(data, image)
            with Image.open(path, formats=[form]) as image:
                return {"format": form, **_described(image, data)}
        except Refused:
            raise
        except (UnidentifiedImageError, SyntaxError) as fault:
            raise Refused("raster_broken", f"Its structure is damaged ({type(fault).__name__}).") from None
        except OSError as fault:
            code = "raster_truncated" if "truncated" in str(fault) else "raster_broken"
            raise Refused(code, "Its pixels cannot be unpacked to the end.") from None
        except Exception as fault:  # decoders raise whatever they like, and their messages may quote the file
            raise Refused("raster_broken", f"It cannot be decoded ({type(fault).__name__}).") from None


def extension_differs(file: str, form: str) -> bool:
    """Whether the name says another format than the content; a name without extension says none."""
    said = Path(file).suffix.lower()
    return bool(said) and said not in NAMED[form]


def _bytes_of(path: Path) -> bytes:
    size = path.stat().st_size
    if size == 0:
        raise Refused("file_empty", "The file holds no byte.")
    if size > MAX_FILE_BYTES:
        raise Refused("raster_too_large", f"The file has {size} bytes, more than {MAX_FILE_BYTES}.")
    return path.read_bytes()


def _check_end(data: bytes, form: str) -> None:
    """A decoder that has all pixels does not look for the end of the file; a cut there is a cut too."""
    whole = {
        "PNG": PNG_END in data,
        "JPEG": data.rfind(JPEG_END) > data.rfind(JPEG_SCAN) > 0,
        "TIFF": True,  # its directories say where everything lies: Pillow reads them all
    }
    if not whole[form]:
        raise Refused("raster_truncated", f"The {form} has no end.")


def _check_rows(data: bytes, image: Image.Image) -> None:
    """Pillow leaves rows that a PNG does not bring black; of an interlaced one that is not looked for."""
    depth, kind, interlaced = data[PNG_DEPTH_AT], data[PNG_DEPTH_AT + 1], data[PNG_DEPTH_AT + 4]
    row_bits = image.width * depth * PNG_SAMPLES.get(kind, 1)
    due = image.height * (1 + (row_bits + 7) // 8)
    inflater, held, at = zlib.decompressobj(), 0, 8
    while at + 12 <= len(data) and not interlaced:
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunk = data[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        while chunk and not inflater.eof and held < due:
            held += len(inflater.decompress(chunk, CHUNK))
            chunk = inflater.unconsumed_tail
        at += 12 + length
    if held < due and not interlaced:
        raise Refused("raster_truncated", f"{held} bytes of pixels where {due} are due.")


def _described(image: Image.Image, data: bytes) -> dict[str, Any]:
    _page_bytes(image)  # first of all: even to ask a PNG for its EXIF unpacks its pixels
    n_pages = int(getattr(image, "n_frames", 1))
    if n_pages > MAX_PAGES:
        raise Refused("raster_too_large", f"It has {n_pages} pages, more than {MAX_PAGES}.")
    first = {
        "width": image.width,
        "height": image.height,
        "channels": len(image.getbands()),
        "mode": image.mode,
        "bit_depth": _bit_depth(image, data),
        "n_frames": n_pages,
        "orientation": _orientation(image),
        "said_json": _said(image),
    }
    digest, total = hashlib.sha256(), 0
    for page in _pages(image, n_pages):
        total += _page_bytes(page)
        if total > MAX_TOTAL_BYTES:
            raise Refused("raster_too_large", f"Its pages unpack to more than {MAX_TOTAL_BYTES} bytes.")
        page.load()
        digest.update(f"{page.mode} {page.size}".encode())
        digest.update(page.tobytes())
    return {**first, "pixels_sha256": digest.hexdigest()}


def _pages(image: Image.Image, n_pages: int) -> Iterator[Image.Image]:
    for page in range(n_pages):
        if n_pages > 1:
            image.seek(page)
        yield image


def _page_bytes(image: Image.Image) -> int:
    n_bytes = image.width * image.height * len(image.getbands()) * (4 if image.mode in ("I", "F") else 2)
    if n_bytes > MAX_PIXEL_BYTES:
        raise Refused("raster_too_large", f"{image.width} × {image.height} pixels are more than is unpacked here.")
    return n_bytes


def _bit_depth(image: Image.Image, data: bytes) -> int:
    """Bits of one sample as the file says; Pillow's modes hide some."""
    if image.format == "PNG":
        return data[PNG_DEPTH_AT]
    if image.format == "JPEG":
        return int(getattr(image, "bits", 8))
    said = getattr(image, "tag_v2", {}).get(TIFF_BITS, (1,))
    return int(said[0] if isinstance(said, tuple) else said)


def _orientation(image: Image.Image) -> int | None:
    said = image.getexif().get(ORIENTATION)
    return int(said) if isinstance(said, int) and 1 <= said <= 8 else None


def _said(image: Image.Image) -> str | None:
    """EXIF tags by name and text chunks; they may name the patient, the place and the day."""
    told = {ExifTags.TAGS.get(tag, f"{tag:#06x}"): _plain(value) for tag, value in image.getexif().items()}
    told |= {str(key): _plain(value) for key, value in image.info.items() if isinstance(value, str)}
    kept: dict[str, str] = {}
    for name, value in sorted(told.items()):
        if sum(len(k) + len(v) for k, v in kept.items()) + len(name) + len(value) <= MAX_SAID_CHARS:
            kept[name] = value
    return json.dumps(kept, ensure_ascii=True, sort_keys=True) if kept else None


def _plain(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
