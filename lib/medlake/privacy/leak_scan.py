"""Search the open zone for known identifiers, byte by byte, in whatever form a file keeps them.

Parquet is opened (its columns of texts and of times and its statistics are searched, also of versions that are no
longer current), gzip is unpacked, everything else is searched as bytes; UTF-16 is searched too. The list of
identifiers comes in chunks from the vault, so that neither side has to fit into one process.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import ahocorasick
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.grammar.errors import MedlakeError

CHUNK = 4 * 1024 * 1024
CHUNK_PATTERNS = 100_000
CHANCE = re.compile(r"[0-9]+|[0-9a-f]{1,8}")  # stands in a checksum or a longer number by chance
SHORTEST = 5  # a shorter text stands everywhere by chance; whole names are searched beside their parts
HIT = T.StructType(
    [T.StructField(name, T.StringType(), False) for name in ("file", "identifier_class", "pattern")]
)
BIRTH_FORMS = ("yyyy-MM-dd", "yyyyMMdd", "MM/dd/yyyy", "dd.MM.yyyy")


def identifiers(identity: DataFrame, uid_map: DataFrame) -> DataFrame:
    """(identifier_class, pattern): what may stand nowhere outside the restricted zone, each text once.

    Names are searched as given and family name together; a family name alone only where it holds a digit, as
    made-up people's do: White, Long or May stand in the names of tests. Texts below `SHORTEST` are left out.
    """
    whole = {
        "name": F.concat_ws(" ", "given_name", "family_name"),
        "address": F.col("address_line"), "phone": F.col("phone"), "email": F.col("email"),
        "national_id": F.col("national_id"), "record_number": F.col("medical_record_number"),
        "source_key": F.col("person_source_value"),
    }  # fmt: skip
    parts = [_some(identity, kind, F.array(column)) for kind, column in whole.items()]
    telling = F.filter(F.array("family_name", "maiden_name"), lambda part: part.rlike(r"\d"))
    parts.append(_some(identity, "name", telling))
    parts.append(_some(identity, "other_id", F.split(F.coalesce("other_id", F.lit("")), r"\s+")))
    forms = F.array(*[F.date_format("birth_date", form) for form in BIRTH_FORMS[:1]])
    parts.append(_some(identity, "birth_date", forms))
    parts.append(_some(uid_map, "uid", F.array("uid")))
    return reduce(DataFrame.unionByName, parts).distinct()


def _some(rows: DataFrame, kind: str, texts: Column) -> DataFrame:
    told = rows.select(F.lit(kind).alias("identifier_class"), F.explode(texts).alias("pattern"))
    found = told.withColumn("pattern", F.trim("pattern"))
    return found.where(F.length("pattern") >= SHORTEST)


def chunked(patterns: DataFrame) -> DataFrame:
    """(chunk, patterns array<struct>): the list cut into pieces that fit a worker."""
    pieces = F.pmod(F.xxhash64("pattern"), F.greatest(F.ceil(F.col("n") / CHUNK_PATTERNS), F.lit(1)))
    counted = patterns.crossJoin(patterns.agg(F.count("*").alias("n")))
    return counted.groupBy(pieces.alias("chunk")).agg(
        F.collect_list(F.struct("identifier_class", "pattern")).alias("patterns")
    )


def hits(files: DataFrame, patterns: DataFrame, *, pieces: int = 1) -> DataFrame:
    """One row per (file, identifier class, pattern) found. `files`: file, uri; `patterns`: see `identifiers`.

    `pieces`: into how many parts, each a task, the files are dealt out; to each part every pattern is sent once.
    The result itself holds identifiers: it stays in memory or in the restricted zone.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        machine, chunk = None, None
        for batch in batches:
            for row in batch.to_pylist():
                if row["chunk"] != chunk:
                    machine, chunk = _machine(row["patterns"]), row["chunk"]
                for file in row["files"]:
                    found = sorted(_found(file["uri"], machine))
                    columns = [[file["file"]] * len(found), [k for k, _ in found], [p for _, p in found]]
                    yield pa.RecordBatch.from_arrays([pa.array(c, pa.string()) for c in columns], names=HIT.names)

    piece = F.pmod(F.xxhash64("file"), F.lit(pieces)).alias("piece")
    dealt = files.groupBy(piece).agg(F.collect_list(F.struct("file", "uri")).alias("files"))
    parts = dealt.crossJoin(chunked(patterns)).repartition(pieces, "piece").sortWithinPartitions("chunk")
    return parts.select("files", "chunk", "patterns").mapInArrow(run, HIT)


def _machine(patterns: list[dict[str, str]]) -> Any:
    named: dict[str, set[tuple[str, str]]] = {}  # one text may be an identifier of several classes
    for entry in patterns:
        named.setdefault(entry["pattern"].lower(), set()).add((entry["identifier_class"], entry["pattern"]))
    machine = ahocorasick.Automaton()
    for text, values in named.items():
        machine.add_word(text, (text, values))
    machine.make_automaton()
    return machine


def _found(uri: str, machine: Any) -> set[tuple[str, str]]:
    """(class, pattern) of everything found in one file; a file that went away since it was listed is empty.

    A number, or a short text of hexadecimal digits, counts only where it stands alone: checksums hold them all.
    """
    seen: set[tuple[str, str]] = set()
    try:
        for text in _texts(uri):
            low = text.lower()
            for end, (word, values) in machine.iter(low):
                if not CHANCE.fullmatch(word) or _alone(low, word, end + 1):
                    seen |= values
    except FileNotFoundError:
        return seen
    except (OSError, pa.ArrowException) as fault:
        raise MedlakeError(f"The leak scan cannot read {Path(uri).name} ({type(fault).__name__})") from fault
    return seen


def _alone(text: str, word: str, end: int) -> bool:
    """Whether the word that ends before `end` is no part of a longer word or number."""
    start = end - len(word)
    around = text[max(start - 1, 0) : start] + text[end : end + 1]
    joints = "._-" if word.isdigit() else ""
    return not any(char.isalnum() or char in joints for char in around)


def _texts(uri: str) -> Iterator[str]:
    if uri.endswith(".parquet"):
        yield from _parquet_texts(uri)
        return
    with open(uri, "rb") as handle:  # noqa: PTH123
        head = handle.read(2)
        handle.seek(0)
        stream = gzip.GzipFile(fileobj=handle) if head == b"\x1f\x8b" else handle
        tail = b""
        while block := stream.read(CHUNK):
            data = tail + block
            yield data.decode("latin-1")
            if not data.isascii():
                yield data.decode("utf-8", errors="ignore")
            if b"\x00" in data:
                yield data.replace(b"\x00", b"").decode("latin-1")  # UTF-16 of western text
            tail = data[-512:]


def _parquet_texts(uri: str) -> Iterator[str]:
    file = pq.ParquetFile(uri)
    for batch in file.iter_batches(batch_size=8192):
        for column in batch.columns:
            for values in _text_leaves(column):
                yield "\n".join(
                    v if isinstance(v, str) else v.decode("utf-8", "ignore") for v in values.to_pylist() if v
                )
    yield str(file.metadata.metadata)


def _text_leaves(column: pa.Array) -> Iterator[pa.Array]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        yield column.unique()
    elif pa.types.is_timestamp(kind):  # to the second; a day alone is another one's shifted day too often
        yield pc.strftime(pc.cast(column.unique(), pa.timestamp("us")), format="%Y%m%dT%H%M%S").drop_null()
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        yield from _text_leaves(column.flatten() if not pa.types.is_map(kind) else column.keys)
    elif pa.types.is_struct(kind):
        for leaf in column.flatten():
            yield from _text_leaves(leaf)
