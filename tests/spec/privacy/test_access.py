"""The access log: each reading of the restricted zone is a line; no line can be altered, removed, added or moved unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tests.tables import rows

from medlake.doors.access import AccessLog
from medlake.doors.commits import CommitBook
from medlake.doors.lake import Lake
from medlake.doors.settings import read_key, retired_keys, rotate_key, write_key
from medlake.steps.chain import verify

KEY, OTHER = bytes(range(32)), bytes(32)
TABLES = ("vault.identity", "bronze.csv_record", "quarantine.record")


def log(root: Path, key: bytes = KEY, why: str = "build, night 1") -> AccessLog:
    return AccessLog(root, lambda: key, why)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[dict[str, object]]]:
    """A lake whose log has twelve lines, its bytes, and what the commit book knows of them."""
    root = tmp_path_factory.mktemp("lake")
    for i in range(12):
        log(root).note(TABLES[i % 3], version=i, rows=None if i % 2 else i)
        if i % 5 == 4:
            CommitBook(root).note_access(log(root).head() or {})
    return root, (root / "restricted" / "access.jsonl").read_bytes(), CommitBook(root).access()


def test_an_untouched_log_holds(written) -> None:
    root, _, known = written
    assert log(root).faults(known) == []
    assert [head["n"] for head in known] == [5, 10]
    assert log(root, OTHER).faults(known), "and only with its key"


DAMAGE = ("alter", "delete", "swap", "insert", "repeat", "cut", "forge", "empty")


@settings(max_examples=120, deadline=None)
@given(how=st.sampled_from(DAMAGE), at=st.integers(0, 11), field=st.sampled_from(["n", "at", "who", "what", "version", "rows", "why", "previous", "hash"]), value=st.one_of(st.integers(), st.text(max_size=9)))
def test_whatever_is_done_to_a_line_is_found(written, how: str, at: int, field: str, value: object) -> None:
    root, whole, known = written
    lines = whole.splitlines(keepends=True)
    if how == "alter":
        said = json.loads(lines[at])
        if said[field] == value and type(said[field]) is type(value):
            return
        lines[at] = json.dumps({**said, field: value}).encode() + b"\n"
    elif how == "delete":
        del lines[at]
    elif how == "swap":
        other = (at + 1) % 12
        lines[at], lines[other] = lines[other], lines[at]
    elif how in ("insert", "repeat"):
        lines.insert(at, lines[at] if how == "repeat" else json.dumps({"n": at + 1, "what": str(value)}).encode() + b"\n")
    elif how == "cut":
        del lines[at:]
    elif how == "empty":
        lines = []
    try:
        log(root).path.write_bytes(b"".join(lines))
        if how == "forge":  # a chain made anew without the key, up to the old length, its head replaced
            log(root).path.unlink()
            head = log(root).head_path.read_bytes()
            for i in range(12):
                log(root, OTHER).note(TABLES[i % 3], version=i)
        assert log(root).faults(known), "found by chain, head and book"
    finally:
        log(root).path.write_bytes(whole)
        if how == "forge":
            log(root).head_path.write_bytes(head)
    assert log(root).faults(known) == []


def test_a_cut_end_is_found_even_with_an_old_head_put_back(tmp_path: Path) -> None:
    for i in range(4):
        log(tmp_path).note("vault.identity", version=i)
        if i == 1:
            early = log(tmp_path).path.read_bytes(), log(tmp_path).head_path.read_bytes()
    CommitBook(tmp_path).note_access(log(tmp_path).head() or {})
    log(tmp_path).path.write_bytes(early[0])
    log(tmp_path).head_path.write_bytes(early[1])
    assert log(tmp_path).faults(CommitBook(tmp_path).access()) == ["the access log ends at line 2; it reached line 4"]


def test_a_chain_ends_with_its_key_and_is_known_to_the_next_one(tmp_path: Path) -> None:
    ended = log(tmp_path)
    ended.note("vault.identity", version=1)
    ended.seal(lambda: OTHER)
    ended.note("vault.identity", version=2)
    assert log(tmp_path, OTHER).faults() == []
    old = tmp_path / "restricted" / "access-0001.jsonl"
    old.write_bytes(old.read_bytes().replace(b'"version": 1', b'"version": 7'))
    assert log(tmp_path, OTHER).faults() == ["access-0001.jsonl, the access log of an earlier key, is not as it was written"]


def test_a_rotated_key_file_remembers_the_retired_ones(tmp_path: Path) -> None:
    write_key(tmp_path / "key")
    first = read_key(tmp_path / "key")
    rotate_key(tmp_path / "key")
    second = read_key(tmp_path / "key")
    rotate_key(tmp_path / "key")
    assert retired_keys(tmp_path / "key") == (second, first)
    assert len({first, second, read_key(tmp_path / "key")}) == 3
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_what_a_kill_tore_off_is_cut_away_and_the_chain_goes_on(tmp_path: Path) -> None:
    log(tmp_path).note("vault.identity", version=1)
    with log(tmp_path).path.open("ab") as out:
        out.write(b'{"n": 2, "at": "20')
    assert log(tmp_path).faults() == []
    log(tmp_path).note("vault.identity", version=2)
    assert log(tmp_path).faults() == []
    assert len(log(tmp_path).path.read_bytes().splitlines()) == 2


def test_each_reading_of_the_restricted_zone_is_one_line_for_each_purpose(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Lake(spark, tmp_path).merge("vault.date_offset", rows(spark, "vault.date_offset", """
        person_id | shift_days
        1         | -5
    """))
    lake = Lake(spark, tmp_path, log(tmp_path, why="link"))
    for _ in range(3):
        lake.read("vault.date_offset")
    lake.changes("vault.date_offset", None)
    lake.access.begin("sql")
    lake.read("vault.date_offset")
    lake.read("ops.run")
    said = [json.loads(line) for line in log(tmp_path).path.read_text().splitlines()]
    assert [(s["what"], s["version"], s["why"]) for s in said] == [("vault.date_offset", 0, "link"), ("vault.date_offset", 0, "sql")]
    assert all(s["who"] and s["at"] for s in said)
    key_file = tmp_path / "key"
    key_file.write_text(KEY.hex())
    key_file.chmod(0o600)
    monkeypatch.setenv("MEDLAKE_KEY_FILE", str(key_file))
    assert verify(None, tmp_path).startswith("The access log holds: 2 lines")
