"""The access log: who read what of the restricted zone, why, which version, when; a chain of keyed hashes.

One line of JSON per table and step in LAKE/restricted/access.jsonl. Each line's hash covers the line before, and needs
the key: whoever alters, removes, adds or moves a line without it is found out. How far the chain reached stands beside
it (LAKE/access.head) and in the commit book, so that a cut end is found as well.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import pwd
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from medlake.grammar.errors import ConfigError

FIRST = "0" * 64  # what the first line follows
SEALED = "sealed "  # how the reason of a line begins that tells of an ended chain
TAIL_BYTES = 65_536  # a line is far shorter
_APPENDING = threading.Lock()


class AccessLog:
    """The log of one lake. `key`: gives the key when it is needed. `why`: what the reader is about, e.g. a step."""

    def __init__(self, root: Path, key: Callable[[], bytes], why: str = "") -> None:
        self.path = root / "restricted" / "access.jsonl"
        self.head_path = root / "access.head"
        self._key, self._why = key, why
        self._seen: set[tuple[str, int]] = set()

    def begin(self, why: str) -> None:
        """From here on reads serve another purpose."""
        self._why = why
        self._seen.clear()

    def read(self, what: str, version: int) -> None:
        """Write down that a version of a table is read; once for each purpose."""
        if (what, version) not in self._seen:
            self.note(what, version=version)
            self._seen.add((what, version))

    def note(self, what: str, *, version: int | None = None, rows: int | None = None, why: str | None = None) -> None:
        """Add a line; on disk before this returns. Neither `what` nor `why` may hold an identifier."""
        with self._appending() as file:
            last = _last(file)
            said: dict[str, Any] = {
                "n": last["n"] + 1 if last else 1, "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "who": _user(), "what": what, "version": version, "rows": rows, "why": why or self._why,
                "previous": last["hash"] if last else FIRST,
            }  # fmt: skip
            said["hash"] = self._hash(said)
            file.write(json.dumps(said).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._write_head({"n": said["n"], "hash": said["hash"]})

    def seal(self, key: Callable[[], bytes]) -> None:
        """End this chain and begin one with another key; its first line knows the ended one by digest."""
        if not self.path.is_file():
            return
        digest = sha256(self.path.read_bytes()).hexdigest()
        number = sum(1 for _ in self.path.parent.glob("access-*.jsonl")) + 1
        ended = self.path.with_name(f"access-{number:04d}.jsonl")
        self.path.replace(ended)
        self.head_path.unlink(missing_ok=True)
        self._key = key
        self._seen.clear()
        self.note(ended.name, why=f"{SEALED}{digest}")

    def head(self) -> dict[str, Any] | None:
        """How far the chain reached when it was last added to: n and hash; None before the first line."""
        if not self.head_path.is_file():
            return None
        try:
            said = json.loads(self.head_path.read_text(encoding="utf-8"))
        except ValueError:
            return {"n": -1, "hash": ""}
        return said if isinstance(said, dict) else {"n": -1, "hash": ""}

    def faults(self, known: Iterable[Mapping[str, Any]] = ()) -> list[str]:
        """What is wrong with the chain, one sentence each. `known`: heads (n, hash) that the book remembers."""
        wanted: dict[int, set[str]] = {}
        for known_head in known:
            wanted.setdefault(int(known_head["n"]), set()).add(str(known_head["hash"]))
        said, n, head = list[str](), 0, self.head()
        if head is not None:
            if not _same(head.get("seal"), self._hash({k: head.get(k) for k in ("n", "hash")})):
                said.append("the note of how far the access log reached is not as it was written")
            else:
                wanted.setdefault(int(head["n"]), set()).add(str(head["hash"]))
        previous = FIRST
        for n, line in enumerate(_lines(self.path), start=1):
            if line is None or line.get("n") != n or line.get("previous") != previous or not self._holds(line):
                said.append(f"line {n} of the access log is not as it was written, or not where")
                return said
            previous = line["hash"]
            if not self._is_there(line):
                said.append(f"{line['what']}, the access log of an earlier key, is not as it was written")
            if wanted.pop(n, {previous}) != {previous}:
                said.append(f"line {n} of the access log is another one than was written")
        said += [f"the access log ends at line {n}; it reached line {max(wanted)}"] if wanted else []
        if head is None and n:
            said.append("the note of how far the access log reached is gone")
        return said

    def _is_there(self, line: dict[str, Any]) -> bool:
        """Of a line that tells of an ended chain, whether that is as it was."""
        why = str(line.get("why"))
        if not why.startswith(SEALED):
            return True
        ended = self.path.with_name(str(line["what"]))
        return ended.is_file() and sha256(ended.read_bytes()).hexdigest() == why.removeprefix(SEALED)

    def _holds(self, line: dict[str, Any]) -> bool:
        rest = {k: v for k, v in line.items() if k != "hash"}
        return _same(line.get("hash"), self._hash(rest))

    def _hash(self, said: dict[str, Any]) -> str:
        return hmac.new(self._key(), b"access" + json.dumps(said, sort_keys=True).encode(), sha256).hexdigest()

    def _write_head(self, head: dict[str, Any]) -> None:
        scratch = self.head_path.with_suffix(".new")
        scratch.write_text(json.dumps({**head, "seal": self._hash(head)}), encoding="utf-8")
        scratch.replace(self.head_path)

    @contextmanager
    def _appending(self) -> Iterator[BinaryIO]:
        """The log, open to this thread alone; what a kill has torn off at its end is cut away."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as fault:
            raise ConfigError(
                f"The access log restricted/{self.path.name} cannot be written ({type(fault).__name__}): nothing of "
                "the restricted zone is read without it. Run this as the account that owns the restricted zone."
            ) from fault
        with _APPENDING, os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            whole = _whole_bytes(file)
            file.truncate(whole)
            file.seek(whole)
            yield file


def _user() -> str:
    """The account of this process, whatever its environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _whole_bytes(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole line."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - TAIL_BYTES)
    file.seek(start)
    return start + file.read().rfind(b"\n") + 1


def _last(file: BinaryIO) -> dict[str, Any] | None:
    """The last line, read backwards from the place of writing; that place is kept.

    A line that does not read stands for itself: the chain goes on behind it, and the check tells of it.
    """
    end = file.tell()
    start = max(0, end - TAIL_BYTES)
    file.seek(start)
    lines = file.read(end - start).splitlines()
    file.seek(end)
    if not lines:
        return None
    try:
        said = json.loads(lines[-1])
        return {"n": int(said["n"]), "hash": str(said["hash"])}
    except (ValueError, KeyError, TypeError):
        return {"n": 0, "hash": sha256(lines[-1]).hexdigest()}


def _lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Every line; None where it does not read. What a kill has torn off at the end was acknowledged to nobody."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            try:
                said = json.loads(raw)
            except ValueError:
                said = None
            yield said if isinstance(said, dict) else None


def _same(told: object, hashed: str) -> bool:
    """Whether what a line says is its hash; it may say anything."""
    return hmac.compare_digest(str(told).encode("utf-8", "surrogatepass"), hashed.encode())
