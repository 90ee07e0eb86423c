"""The DICOM streams of one landing file: the file itself, or the members of a zip, under safe rules.

A name from inside an archive is never used as a path, nothing is unpacked beside the archive, and caps
hold for each member and for the whole (an archive of 42 KB can otherwise hold 4.5 PB).
"""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from medlake.sources.dicom_stream import CHUNK_BYTES, MAX_RATIO, SPOOL_BYTES, BrokenObjectError

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # with members, empty
MAX_MEMBERS = 100_000
MAX_MEMBER_BYTES = 4 * 1024**3
MAX_TOTAL_BYTES = 64 * 1024**3
ENCRYPTED = 0x1  # general purpose bit 0


@dataclass(frozen=True)
class Member:
    """One stream of a landing file; `fault` says why it must not be read.

    `name` is None and `row` 0 for the file itself; members of an archive count from 1.
    """

    name: str | None
    row: int
    size: int
    stream: BinaryIO | None
    fault: BrokenObjectError | None = None


def members(path: str) -> Iterator[Member]:
    """The streams of the file at `path`, each closed when the next is asked for.

    An archive that breaks a rule as a whole gives one member with the fault; a member that breaks one
    gives a fault of its own and the others are read.

    Raises:
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        start = stream.read(132)
        stream.seek(0)
        if start[:4] not in ZIP_MAGIC or start[128:] == b"DICM":
            yield Member(None, 0, size, stream)
            return
        yield from _zip_members(stream, size)


def _zip_members(stream: BinaryIO, size: int) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(stream)
        infos = archive.infolist()
        total = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        if len(infos) > MAX_MEMBERS or total > MAX_TOTAL_BYTES or packed > size:  # packed: members overlap
            raise BrokenObjectError("archive_unsafe", f"{len(infos)} members of {total} bytes in {size}")
    except BrokenObjectError as fault:
        yield Member(None, 0, size, stream, fault)
        return
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        yield Member(None, 0, size, stream, BrokenObjectError("file_unreadable", "the zip has no directory"))
        return
    for row, info in enumerate(infos, start=1):
        if not info.is_dir():
            yield from _zip_member(archive, info, row)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, row: int) -> Iterator[Member]:
    try:
        _check_member(info)
        spool = _unpacked(archive, info)
    except BrokenObjectError as fault:
        yield Member(info.filename, row, info.file_size, None, fault)
        return
    with spool:
        yield Member(info.filename, row, info.file_size, spool)


def _check_member(info: zipfile.ZipInfo) -> None:
    paths = PurePosixPath(info.orig_filename), PureWindowsPath(info.orig_filename)
    if any(path.is_absolute() or path.drive or path.root or ".." in path.parts for path in paths):
        raise BrokenObjectError("archive_unsafe", "the name of a member leaves the archive")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise BrokenObjectError("archive_unsafe", "a member is a symbolic link")
    if info.flag_bits & ENCRYPTED:
        raise BrokenObjectError("archive_unsafe", "a member is encrypted")
    if info.file_size > min(MAX_MEMBER_BYTES, MAX_RATIO * max(info.compress_size, 1)):
        said = f"a member grows from {info.compress_size} to {info.file_size} bytes"
        raise BrokenObjectError("archive_unsafe", said)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    """The member in a file that vanishes when closed; zipfile holds it to its declared size and CRC."""
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by the caller
    try:
        with archive.open(info) as packed:
            while chunk := packed.read(CHUNK_BYTES):
                spool.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        spool.close()
        raise BrokenObjectError("file_unreadable", "a member is damaged or of unknown packing") from None
    spool.seek(0)
    if spool.read(4) in ZIP_MAGIC:
        spool.close()
        raise BrokenObjectError("archive_unsafe", "an archive inside an archive")
    return spool  # type: ignore[return-value]
