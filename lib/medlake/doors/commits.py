"""The commit book: the newest commits of each table by digest, written beside the lake and checked at every start.

Delta reads a commit file that a power cut has emptied as a commit without content: the rows are gone, and no error
says so. The book knows better. A commit that it does not know was acknowledged to nobody: if it cannot be read it is
taken away, and the step that made it makes it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medlake.grammar.errors import DamagedLakeError

KEPT = 20  # newest commits of a table that the book remembers
_APPENDING = threading.Lock()


class CommitBook:
    """One line of JSON per commit (table, version, sha256) in LAKE/commits.jsonl; the last line may be torn.

    Lines of another kind tell how far the access log had come.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "commits.jsonl"

    def note(self, table: Path, version: int) -> None:
        """Remember a commit that was just made; on disk before this returns."""
        digest = _digest(_file(table, version))
        name = table.relative_to(self.root).as_posix()
        self._append(json.dumps({"table": name, "version": version, "sha256": digest}))

    def note_access(self, head: Mapping[str, Any]) -> None:
        """Remember how far the access log reached: n and hash of its last line."""
        line = json.dumps({"access": head["n"], "hash": head["hash"]})
        if line not in self._access():
            self._append(line)

    def access(self) -> list[dict[str, Any]]:
        """How far the access log reached at times: n and hash."""
        return [{"n": said["access"], "hash": said["hash"]} for said in map(json.loads, self._access())]

    def end_access(self) -> None:
        """Forget how far an access log reached that was ended."""
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        gone = set(self._access())
        with _APPENDING:
            self._write([line for line in text.splitlines() if line not in gone])

    def _access(self) -> list[str]:
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        return [line for line in text.splitlines() if line.startswith('{"access": ') and line.endswith('"}')]

    def _append(self, line: str) -> None:
        with _APPENDING, self.path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())

    def check(self) -> list[str]:
        """Compare every table with the book; returns the commits that were taken away, one sentence each.

        Raises:
            DamagedLakeError: commits that were acknowledged are gone or altered; all of them are named.
        """
        known = self._known()
        faults, removed = [], []
        for table in self._tables():
            name = table.relative_to(self.root).as_posix()
            noted = known.get(name, {})
            faults += [f"{name}, version {v}: {fault}" for v, sha in noted.items() if (fault := _fault(table, v, sha))]
            removed += [f"{name}, version {v}" for v in self._torn(table, max(noted, default=-1))]
        lost = sorted(name for name in known if not (self.root / name / "_delta_log").is_dir())
        faults += [f"{name}: the table is gone" for name in lost]
        if faults:
            raise DamagedLakeError(
                f"{self.root.name}: {len(faults)} commit(s) are not as they were written:\n"
                + "\n".join(f"  - {fault}" for fault in faults)
                + "\nPut the named files below _delta_log back from a backup. A silver or gold table may instead be "
                "removed together with its lines in commits.jsonl: the next night makes it again."
            )
        self._shorten(known)
        return removed

    def _known(self) -> dict[str, dict[int, str]]:
        known: dict[str, dict[int, str]] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []:
            try:
                said = json.loads(line)
                known.setdefault(said["table"], {})[int(said["version"])] = str(said["sha256"])
            except (ValueError, KeyError, TypeError):
                continue  # torn by a kill: the commit itself is looked at like one that nobody noted
        return known

    def _tables(self) -> Iterator[Path]:
        for zone in ("restricted", "open"):
            for layer in sorted((self.root / zone).iterdir()) if (self.root / zone).is_dir() else []:
                for table in sorted(layer.iterdir()) if layer.is_dir() else []:
                    if (table / "_delta_log").is_dir():
                        yield table

    @staticmethod
    def _torn(table: Path, newest: int) -> Iterator[int]:
        """The version after the newest noted ones, where its file is cut: taken away, it was acknowledged to nobody."""
        files = sorted(p for p in (table / "_delta_log").glob("*.json") if p.stem.isdigit())
        if files and int(files[-1].stem) > newest and not _reads(files[-1]):
            files[-1].unlink()
            (table / "_delta_log" / f".{files[-1].name}.crc").unlink(missing_ok=True)
            yield int(files[-1].stem)

    def _shorten(self, known: dict[str, dict[int, str]]) -> None:
        """Keep the newest lines of each table, for the book must not grow for ever."""
        if not self.path.is_file() or sum(map(len, known.values())) <= 2 * KEPT * max(len(known), 1):
            return
        lines = [
            json.dumps({"table": name, "version": v, "sha256": noted[v]})
            for name, noted in sorted(known.items())
            for v in sorted(noted)[-KEPT:]
        ]
        lines += self._access()[-KEPT:]
        self._write(lines)

    def _write(self, lines: list[str]) -> None:
        scratch = self.path.with_suffix(".new")
        scratch.write_text("\n".join([*lines, ""]), encoding="utf-8")
        scratch.replace(self.path)


def _file(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020d}.json"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _fault(table: Path, version: int, sha256: str) -> str | None:
    file = _file(table, version)
    if not file.is_file():
        older = [p for p in file.parent.glob("*.json") if p.stem.isdigit() and int(p.stem) < version]
        newer = [p for p in file.parent.glob("*.json") if p.stem.isdigit() and int(p.stem) > version]
        return None if newer and not older else "the commit is gone"  # Delta removes the oldest ones after 90 days
    return None if _digest(file) == sha256 else "the commit has other content"


def _reads(file: Path) -> bool:
    """Whether a commit file is whole: lines of JSON that say what was done."""
    try:
        said = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except ValueError:
        return False
    return any("commitInfo" in action for action in said)
