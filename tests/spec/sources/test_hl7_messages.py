"""HL7 v2 as it really comes: every message ends in bronze or in quarantine, with the code that it deserves."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlake.sources.hl7 import as_record
from medlake.sources.hl7_frames import frames
from medlake.sources.hl7_message import REASONS, Words, read_header
from medlake.sources.reading import opened

MSH = "MSH|^~\\&|ADT1|HOSP|LAKE|HOSP|20240102030405||ADT^A01^ADT_A01|M1|P|2.5.1"
PID = "PID|1||123^^^HOSP^MR||Doe^John||19700102|M"
ADT = [MSH, "EVN|A01|20240102030405", PID, "PV1|1|I|W^1^1||||||||||||||||V1"]
ORU = [
    MSH.replace("ADT^A01^ADT_A01", "ORU^R01^ORU_R01"), PID, "OBR|1|P1|F1|24331-1^Lipids^LN|||20240102",
    "OBX|1|NM|2093-3^Cholesterol^LN||182|mg/dL|||||F",
]  # fmt: skip
MDM = [MSH.replace("ADT^A01^ADT_A01", "MDM^T02^MDM_T02"), PID, "TXA|1|DS|TX|20240102||||||||D1", "OBX|1|TX|DS^Letter||Dear colleague"]
MAX = 100_000


def joined(lines: list[str], end: str = "\r") -> bytes:
    return "".join(line + end for line in lines).encode()


def msh(**fields: str) -> str:
    """The header with some of its fields replaced, by their HL7 number: msh(f9="…")."""
    parts = MSH.split("|")
    for name, value in fields.items():
        parts[int(name[1:]) - 1] = value
    return "|".join(parts)


def adt(**fields: str) -> bytes:
    return joined([msh(**fields), *ADT[1:]])


def records(data: bytes) -> list[dict[str, object]]:
    return [as_record(n, frame, None) for n, frame in enumerate(frames(io.BytesIO(data), max_bytes=MAX), start=1)]


def fates(data: bytes) -> list[str]:
    return [str(r.get("reason_code") or "kept") for r in records(data)]


GOOD = joined(ADT)
ODD: list[tuple[str, bytes, list[str]]] = [
    # sound, however odd it looks
    ("segments end in CR", GOOD, ["kept"]),
    ("segments end in LF", joined(ADT, "\n"), ["kept"]),
    ("segments end in CRLF", joined(ADT, "\r\n"), ["kept"]),
    ("ends mixed", joined(ADT[:2]) + joined(ADT[2:], "\r\n"), ["kept"]),
    ("no end after the last segment", GOOD.rstrip(), ["kept"]),
    ("empty lines between segments", joined(ADT, "\r\r\n\n"), ["kept"]),
    ("two messages, CR inside and LF between", GOOD + b"\n" + GOOD, ["kept", "kept"]),
    ("MLLP blocks", b"\x0b" + GOOD + b"\x1c\r\x0b" + GOOD + b"\x1c\r", ["kept", "kept"]),
    ("MLLP block without CR before its end", b"\x0b" + GOOD.rstrip() + b"\x1c\r", ["kept"]),
    ("batch", b"FHS|^~\\&\rBHS|^~\\&\r" + GOOD + GOOD + b"BTS|2\rFTS|1\r", ["kept", "kept"]),
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD, ["kept"]),
    ("other separators", GOOD.replace(b"|", b"#").replace(b"^", b"$").replace(b"~", b"*").replace(b"&", b"@"), ["kept"]),
    ("five separators, as of 2.7", adt(f2="^~\\&#", f12="2.7"), ["kept"]),
    ("no sub-component separator", adt(f2="^~\\"), ["kept"]),
    ("version with a country", adt(f12="2.5^DEU"), ["kept"]),
    ("no version and no processing id", adt(f11="", f12=""), ["kept"]),
    ("no time", adt(f7=""), ["kept"]),
    ("a time that is none", adt(f7="yesterday"), ["kept"]),
    ("Latin-1, declared", (joined([MSH + "||||||8859/1", PID.replace("Doe", "Müller")]).decode()).encode("latin-1"), ["kept"]),
    ("UTF-8, declared", joined([MSH + "||||||UNICODE UTF-8", PID.replace("Doe", "Müller")]), ["kept"]),
    ("UTF-8, not declared", joined([MSH, PID.replace("Doe", "Müller")]), ["kept"]),
    ("own segments", joined([*ADT, "ZPI|1|x^y&z~w"]), ["kept"]),
    ("a segment without fields", joined([*ADT, "ZZZ"]), ["kept"]),
    ("a key in PID-2, as of 2.2", joined([MSH, "PID|1|77||||Doe"]), ["kept"]),
    ("many fields", joined([*ADT, "ZZZ" + "|x" * 5_000]), ["kept"]),
    ("many repetitions", joined([*ADT, "ZZZ|" + "~".join("x" * 3_000)]), ["kept"]),
    ("an escape that does not end", joined([MSH, PID.replace("Doe", "Do\\e")]), ["kept"]),
    ("an escape with a NUL", joined([MSH, PID.replace("Doe", "Do\\X00\\e")]), ["kept"]),
    ("two patients in one result message", joined([*ORU, PID.replace("123", "456"), *ORU[2:]]), ["kept"]),
    ("a document", joined(MDM), ["kept"]),
    ("a merge", joined([msh(f9="ADT^A40"), PID, "MRG|99^^^HOSP^MR"]), ["kept"]),
    # the frame
    ("no message at all", b"\r\n\r\n", []),
    ("only an envelope", b"FHS|^~\\&\rFTS|0\r", []),
    ("no MSH", joined(ADT[1:]), ["msh_missing"]),
    ("an MSH in lower case", GOOD.lower(), ["msh_missing"]),
    ("JSON", b'{"resourceType": "Patient"}', ["msh_missing"]),
    ("text before the first message", b"log: start\r\n" + GOOD, ["msh_missing", "kept"]),
    ("text between MLLP blocks", b"\x0b" + GOOD + b"\x1c\rnoise\r\x0b" + GOOD + b"\x1c\r", ["kept", "msh_missing", "kept"]),
    ("an MLLP block that does not end", b"\x0b" + GOOD, ["truncated"]),
    ("an MLLP block that the next one cuts off", b"\x0b" + GOOD + b"\x0b" + GOOD + b"\x1c\r", ["truncated", "kept"]),
    ("a batch with one message fewer than it says", b"BHS|^~\\&\r" + GOOD + b"BTS|2\r", ["kept", "batch_count"]),
    ("a batch that does not end", b"FHS|^~\\&\rBHS|^~\\&\r" + GOOD, ["kept", "batch_truncated", "batch_truncated"]),
    ("longer than allowed", joined([*ADT, "ZZZ|" + "x" * MAX]), ["message_too_long"]),
    ("longer than allowed, in short segments, and a good one after it", joined([*ADT, *["ZZZ|" + "x" * 1000] * 101]) + GOOD, ["message_too_long", "kept"]),
    ("nothing but separators", joined([*ADT, "ZZZ" + "|" * (MAX // 2), "ZZZ" + "~" * (MAX // 2)]), ["message_too_long"]),
    # the header
    ("MSH and nothing else", b"MSH", ["separators"]),
    ("MSH-2 empty", adt(f2=""), ["separators"]),
    ("the same separator twice", adt(f2="^^\\&"), ["separators"]),
    ("a letter as separator", GOOD.replace(b"|", b"A"), ["separators"]),
    ("cut off in MSH", MSH[:40].encode(), ["type_missing"]),
    ("cut off after the type", MSH[: MSH.index("|M1")].encode(), ["control_id_missing"]),
    ("no type", adt(f9=""), ["type_missing"]),
    ("no control id", adt(f10=""), ["control_id_missing"]),
    ("an order message", adt(f9="ORM^O01"), ["type_unknown"]),
    ("an acknowledgement", adt(f9="ACK"), ["type_unknown"]),
    ("an event that ADT does not have", adt(f9="ADT^Z99"), ["event_unknown"]),
    ("no event", adt(f9="ADT"), ["event_unknown"]),
    ("a training message", adt(f11="T"), ["not_production"]),
    ("a debugging message", adt(f11="D^A"), ["not_production"]),
    ("version 3", adt(f12="3.0"), ["version_unknown"]),
    # the bytes
    ("a NUL byte", GOOD.replace(b"Doe", b"D\x00e"), ["nul_byte"]),
    ("Latin-1, not declared", joined([MSH, PID.replace("Doe", "Müller")]).decode().encode("latin-1"), ["encoding"]),
    ("Latin-1, declared as UTF-8", joined([MSH + "||||||UNICODE UTF-8", PID.replace("Doe", "Müller")]).decode().encode("latin-1"), ["encoding"]),
    ("an unknown character set", joined([MSH + "||||||KLINGON", PID]), ["charset_unknown"]),
    ("UTF-16", GOOD.decode().replace("\r", "|").encode("utf-16"), ["encoding"]),
    # the body
    ("cut off after MSH", MSH.encode(), ["segment_missing"]),
    ("no patient segment", joined([MSH, ADT[1], ADT[3]]), ["segment_missing"]),
    ("cut off in a segment's name", GOOD + b"DG", ["segment_malformed"]),
    ("a line break inside a text", joined([*ORU[:3], "OBX|1|FT|T^Text||first line\nsecond line"]), ["segment_malformed"]),
    ("a result message without results", joined(ORU[:3]), ["segment_missing"]),
    ("a result message without an order", joined([*ORU[:2], ORU[3]]), ["segment_missing"]),
    ("a document message without a text", joined(MDM[:3]), ["segment_missing"]),
    ("a document message without TXA", joined([*MDM[:2], MDM[3]]), ["segment_missing"]),
    ("a merge without MRG", joined([msh(f9="ADT^A40"), PID]), ["segment_missing"]),
    ("a merge of nobody", joined([msh(f9="ADT^A40"), PID, "MRG|"]), ["merge_key_missing"]),
    ("no key of the patient", joined([MSH, "PID|1||^^^HOSP^MR||Doe"]), ["patient_missing"]),
    ("a key that is an explicit null", joined([MSH, 'PID|1||""||Doe']), ["patient_missing"]),
    ("no key of the second patient", joined([*ORU, "PID|2||||Roe", *ORU[2:]]), ["patient_missing"]),
    ("a result of nothing", joined([*ORU[:3], "OBX|1|NM|||182"]), ["result_code_missing"]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_each_message_has_its_fate(data: bytes, expected: list[str]) -> None:
    assert fates(data) == expected


def test_a_message_that_would_take_minutes_to_parse_is_refused_at_once() -> None:
    for text in ("~" * 300_000, "|" * 300_000, "a&" * 300_000, "a^" * 300_000, "\rZZZ" * 300_000):
        [frame] = frames(io.BytesIO(joined([*ADT, "ZZZ|" + text])), max_bytes=10_000_000)
        assert as_record(1, frame, None)["reason_code"] == "too_many_parts"


def test_every_reason_is_shown_and_has_a_verdict() -> None:
    assert {code for _, _, codes in ODD for code in codes} - {"kept"} == set(REASONS) - {"too_many_parts"}
    assert {verdict for verdict, _, _ in REASONS.values()} == {"AE", "AR"}


def test_what_is_set_aside_is_whole_and_says_which_message_it_was() -> None:
    [record] = records(adt(f11="T"))
    assert record["raw"] == adt(f11="T").decode()
    assert (record["control_id"], record["message_type"], record["trigger_event"]) == ("M1", "ADT", "A01")


def test_what_is_kept_is_whole() -> None:
    for end in ("\r", "\n", "\r\n"):
        assert records(joined(ADT, end))[0]["raw"] == joined(ADT, end).decode()


def test_a_packed_file_reads_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.hl7.gz"
    path.write_bytes(gzip.compress(GOOD + GOOD))
    with opened(str(path)) as handle:
        assert len(list(frames(handle, max_bytes=MAX))) == 2


def test_the_chunks_in_which_a_file_is_read_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\x0b" + joined(ADT, "\r\n") + b"\x1c\r\n" + joined(ORU) + b"\n" + joined(MDM, "\n")
    whole = list(frames(io.BytesIO(data), max_bytes=MAX))
    assert len(whole) == 3
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("medlake.sources.hl7_frames.CHUNK", size)
        assert list(frames(io.BytesIO(data), max_bytes=MAX)) == whole


def segments(lines: list[str]) -> dict[str, dict[str, object]]:
    [record] = records(joined(lines))
    return {part["segment"]: part for part in json.loads(str(record["segments"]))}


def test_fields_repetitions_components_and_sub_components_have_their_names() -> None:
    pid = segments([MSH, "PID|1||123^^^HOSP&1.2.3&ISO^MR~9^^^SSA^SS||Doe^John\\T\\Jim^^\"\"||19700102|M"])["PID"]
    assert pid["PID"] == {
        "f1": [{"c1": "1"}],
        "f3": [{"c1": "123", "c4": "HOSP", "c4_2": "1.2.3", "c4_3": "ISO", "c5": "MR"}, {"c1": "9", "c4": "SSA", "c5": "SS"}],
        "f5": [{"c1": "Doe", "c2": "John&Jim", "c4": None}],
        "f7": [{"c1": "19700102", "t1": "1970-01-02"}],
        "f8": [{"c1": "M"}],
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"), (r"a\.br\b", "a\nb"), (r"a\.sp2\b", "a\n\nb"), (r"\H\a\N\b", "ab"),
        (r"a\X2C20\b", "a, b"), (r"\XC3BC\ber", "über"), (r"a\XZZ\b", r"a\XZZ\b"), (r"a\X00\b", r"a\X00\b"),
        (r"a\Cxx\b", r"a\Cxx\b"), (r"C:\temp", r"C:\temp"), (r"\.in4\a", "a"), (r"a\E\\E\b", "a\\\\b"),
    ],
)  # fmt: skip
def test_escapes_mean_what_the_standard_says(written: str, meant: str) -> None:
    assert Words(read_header(MSH)).plain(written) == meant


@pytest.mark.parametrize(
    ("sent", "written", "moment"),
    [
        ("", "20240102", "2024-01-02"), ("", "2024010203", "2024-01-02 03:00:00"), ("", "202401020304", "2024-01-02 03:04:00"),
        ("", "20240102030405.25", "2024-01-02 03:04:05.25"), ("", "20240102030405-0500", "2024-01-02 03:04:05-05:00"),
        ("20240102030405+0100", "20240102030405", "2024-01-02 03:04:05+01:00"),
        ("20240102030405+0100", "20240102030405-0500", "2024-01-02 03:04:05-05:00"),
        ("20240102030405+0100", "20240102", "2024-01-02"), ("", "20240231", None), ("", "2024", None), ("", "202401", None),
        ("", "20240102250000", None), ("", "20240102030405+9900", None), ("", "2024-01-02", None), ("", "", None),
    ],
)  # fmt: skip
def test_moments_are_read_with_the_zone_of_the_message(sent: str, written: str, moment: str | None) -> None:
    assert Words(read_header(msh(f7=sent))).moment(written) == moment


def test_a_result_knows_its_patient_and_its_order() -> None:
    [record] = records(joined([*ORU, PID.replace("123", "456"), *ORU[2:]]))
    found = json.loads(str(record["segments"]))
    results = [part for part in found if part["segment"] == "OBX"]
    assert [found[r["of_pid"]]["key"] for r in results] == ["123", "456"]
    assert [r["of_obr"] for r in results] == [2, 5]


def test_a_declared_authority_says_which_number_is_the_key() -> None:
    data = joined([MSH, "PID|1||123^^^HOSP^MR~9^^^CITY^MR||Doe"])
    [frame] = frames(io.BytesIO(data), max_bytes=MAX)
    assert as_record(1, frame, None)["patient_key"] == "123"
    assert as_record(1, frame, "CITY")["patient_key"] == "9"
    assert as_record(1, frame, "STATE")["reason_code"] == "patient_missing"


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 5))
def test_no_damage_makes_the_reader_fail_or_lose_a_byte_of_a_line(noise: bytes, where: int, cut: int) -> None:
    data = joined(ORU)
    damaged = data[: where % len(data)] + noise + data[(where + cut) % len(data) :]
    for record in records(damaged):
        assert (record.get("reason_code") in REASONS) == ("segments" not in record)
        assert record["raw"] is not None
