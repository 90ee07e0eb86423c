"""HL7 v2 messages → bronze.hl7_message: each message kept whole, beside its segments as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.sources.declared import Source
from medlake.sources.hl7_frames import Frame, frames
from medlake.sources.hl7_message import (
    REASONS,
    Words,
    check_header,
    read_header,
    read_segments,
    read_text,
    refusal,
)
from medlake.sources.reading import Refused, digest, opened, per_file, refused

PAYLOAD = [
    T.StructField("control_id", T.StringType(), True),
    T.StructField("message_type", T.StringType(), True),
    T.StructField("trigger_event", T.StringType(), True),
    T.StructField("version", T.StringType(), True),
    T.StructField("event_at", T.TimestampType(), True),
    T.StructField("patient_key", T.StringType(), True),
    T.StructField("segments", T.StringType(), True),
]
ACCEPTED, ACCEPTED_CODE = "AA", "0"
OF_A_FILE = ("AR", "207")  # a file that cannot be opened or is empty: no message of it was seen


def read_messages(files: DataFrame, sources: Mapping[str, Source], *, max_bytes: int) -> DataFrame:
    """One row per message, counted from 1 in its file; what MSH says is told of refused messages too."""
    authorities = {s.name: s.authority for s in sources.values()}

    def read(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with opened(file["uri"]) as handle:
            number = 0
            for number, frame in enumerate(frames(handle, max_bytes=max_bytes), start=1):
                yield as_record(number, frame, authorities[file["source"]])
        if not number:
            raise Refused("msh_missing", "The file holds no message.")

    return per_file(files, read, PAYLOAD)


def as_record(number: int, frame: Frame, authority: str | None) -> dict[str, Any]:
    """The row of one message, or its refusal with what could still be read of its header."""
    said: dict[str, Any] = {}
    try:
        if frame.fault and not frame.data.startswith(b"MSH"):
            raise refusal(frame.fault)
        text = read_text(frame.data)
        header = read_header(text)
        said = {"control_id": header.control_id, "message_type": header.type or None,
                "trigger_event": header.trigger or None, "version": header.version}  # fmt: skip
        if frame.fault:
            raise refusal(frame.fault)
        check_header(header)
        found = read_segments(text, header, authority)
    except Refused as fault:
        return {**refused(number, frame.data, fault.code, fault.detail), **said}
    first = next(part["key"] for part in found if part["segment"] == "PID")
    return {
        "row": number, "row_hash": digest(frame.data), "source_table": f"{header.type}_{header.trigger}", **said,
        "event_at": _instant(Words(header).moment(header.sent)), "patient_key": first,
        "segments": json.dumps(found, ensure_ascii=False), "raw": text,
    }  # fmt: skip


def _instant(iso: str | None) -> datetime | None:
    if iso is None:
        return None
    seen = datetime.fromisoformat(iso)
    return seen if seen.tzinfo else seen.replace(tzinfo=UTC)


def acknowledgements(read: DataFrame) -> DataFrame:
    """bronze.hl7_acknowledgement: what an acknowledgement of each message that was read would say.

    Grain: that of `read_messages`. AA: it is in bronze; AE: its content was refused; AR: it is none that is taken in.
    """
    verdict = F.coalesce(_of_reason(0), F.lit(OF_A_FILE[0]))
    code = F.coalesce(_of_reason(1), F.lit(OF_A_FILE[1]))
    is_kept = F.col("reason_code").isNull()
    return read.select(
        "source", "file", "file_sha256", "row", "batch", "control_id", "message_type", "trigger_event",
        F.when(is_kept, F.lit(ACCEPTED)).otherwise(verdict).alias("verdict"),
        F.when(is_kept, F.lit(ACCEPTED_CODE)).otherwise(code).alias("error_code"),
        "reason_code", "detail",
    )  # fmt: skip


def _of_reason(place: int) -> Column:
    told = {code: reason[place] for code, reason in REASONS.items()}
    return F.try_element_at(F.create_map(*[F.lit(x) for x in chain(*told.items())]), F.col("reason_code"))
