"""Hostile files, made on the fly: name → bytes for each format, with the code that must be told (None: kept).

`ANY` stands where damage may hit what a reader needs not look at: the file must end in bronze or in quarantine.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import zipfile
import zlib
from pathlib import Path

from pydicom.data import get_testdata_file

ANY = "(bronze or quarantine)"
Hostile = dict[str, tuple[bytes, str | None]]
GOOD = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/1"}}


def fhir() -> Hostile:
    """One NDJSON file each: a line that must be refused, or one that only looks odd."""
    good = json.dumps(GOOD).encode()
    made: Hostile = {
        "empty": (b"", "file_empty"),
        "bom": (b"\xef\xbb\xbf" + good, None),
        "crlf": (good + b"\r\n", None),
        "gzip_by_another_name": (gzip.compress(good), None),
        "gzip_cut": (gzip.compress(good * 1000)[:60], "file_unreadable"),
        "gzip_spoiled": (gzip.compress(good)[:-8] + bytes(8), "file_unreadable"),
        "deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "json_invalid"),
        "deep_arrays": (b"[" * 200_000, "json_invalid"),
        "huge_number": (b'{"resourceType":"A","id":"1","v":1e400}', "json_not_finite"),
        "minus_huge": (b'{"resourceType":"A","id":"1","v":-1e999}', "json_not_finite"),
        "long_integer": (b'{"resourceType":"A","id":"1","v":' + b"9" * 5000 + b"}", "json_not_finite"),
        "nan": (b'{"resourceType":"A","id":"1","v":NaN}', "json_not_finite"),
        "infinity": (b'{"resourceType":"A","id":"1","v":-Infinity}', "json_not_finite"),
        "twice_a_key": (b'{"resourceType":"A","id":"1","id":"2"}', "json_duplicate_key"),
        "twice_a_nested_key": (b'{"resourceType":"A","id":"1","x":{"y":1,"y":2}}', "json_duplicate_key"),
        "two_objects": (good + good, "json_trailing"),
        "object_and_rubbish": (good + b" x", "json_trailing"),
        "comment": (b"/* a */ " + good, "json_invalid"),
        "single_quotes": (b"{'resourceType':'A','id':'1'}", "json_invalid"),
        "trailing_comma": (b'{"resourceType":"A","id":"1",}', "json_invalid"),
        "hexadecimal": (b'{"resourceType":"A","id":"1","v":0x10}', "json_invalid"),
        "plus_sign": (b'{"resourceType":"A","id":"1","v":+1}', "json_invalid"),
        "leading_zero": (b'{"resourceType":"A","id":"1","v":01}', "json_invalid"),
        "bare_key": (b'{resourceType:"A","id":"1"}', "json_invalid"),
        "tab_in_text": (b'{"resourceType":"A","id":"1\t2"}', "json_invalid"),
        "line_feed_in_text": (b'{"resourceType":"A","id":"1\n2"}', "json_invalid"),
        "half_escape": (b'{"resourceType":"A","id":"1\\u12"}', "json_invalid"),
        "lone_surrogate": (b'{"resourceType":"A","id":"1","t":"\\ud800"}', ANY),
        "lone_surrogate_as_type": (b'{"resourceType":"\\udfff","id":"1"}', "encoding"),
        "lone_surrogate_as_id": (b'{"resourceType":"A","id":"\\udfff"}', "encoding"),
        "overlong_utf8": (b'{"resourceType":"A","id":"\xc0\xaf"}', "encoding"),
        "utf16": (good.decode().encode("utf-16"), "nul_byte"),
        "latin1": ('{"resourceType":"A","id":"é"}'.encode("latin-1"), "encoding"),
        "nul": (b'{"resourceType":"A","id":"\x00"}', "nul_byte"),
        "escaped_nul": (b'{"resourceType":"A","id":"1","t":"\\u0000"}', ANY),
        "array": (b"[" + good + b"]", "json_not_object"),
        "text": (b'"Condition"', "json_not_object"),
        "null": (b"null", "json_not_object"),
        "number": (b"42", "json_not_object"),
        "no_type": (b'{"id":"1"}', "resource_type_missing"),
        "type_as_number": (b'{"resourceType":1,"id":"1"}', "resource_type_missing"),
        "type_as_list": (b'{"resourceType":["A"],"id":"1"}', "resource_type_missing"),
        "wrong_case": (b'{"ResourceType":"A","Id":"1"}', "resource_type_missing"),
        "no_id": (b'{"resourceType":"A"}', "resource_id_missing"),
        "id_as_number": (b'{"resourceType":"A","id":1}', "resource_id_missing"),
        "id_empty": (b'{"resourceType":"A","id":""}', "resource_id_missing"),
        "meta_as_text": (b'{"resourceType":"A","id":"1","meta":"x"}', None),
        "meta_as_list": (b'{"resourceType":"A","id":"1","meta":[1]}', None),
        "version_as_number": (b'{"resourceType":"A","id":"1","meta":{"versionId":7}}', None),
        "updated_in_words": (b'{"resourceType":"A","id":"1","meta":{"lastUpdated":"yesterday"}}', None),
        "updated_in_the_year_0": (b'{"resourceType":"A","id":"1","meta":{"lastUpdated":"0000-00-00T00:00:00Z"}}', None),
        "updated_far_away": (b'{"resourceType":"A","id":"1","meta":{"lastUpdated":"9999-12-31T23:59:59-14:00"}}', ANY),
        "html": (b"<html><body>502 Bad Gateway</body></html>", "json_invalid"),
        "xml": (b'<!DOCTYPE x [<!ENTITY a "b">]><Patient>&a;</Patient>', "json_invalid"),
        "program": (b"MZ\x90\x00" + bytes(200), "nul_byte"),
        "one_long_line": (b'{"resourceType":"A","id":"' + b"x" * 3_000_000 + b'"}', "line_too_long"),
        "many_blank_lines": (b"\n" * 1000 + good, None),
        "path_as_id": (b'{"resourceType":"../../etc","id":"../../passwd"}', None),
        "formula_as_id": (b'{"resourceType":"A","id":"=cmd|calc"}', None),
    }
    for n, cut in enumerate(range(3, len(good) - 1, 7)):
        made[f"cut_{n:02}"] = (good[:cut], "json_invalid")
    return {f"{name}.ndjson": value for name, value in made.items()} | bundles()


def bundles() -> Hostile:
    """One .json file each: a Bundle, or what claims to be one."""
    whole = json.dumps({"resourceType": "Bundle", "entry": [{"resource": GOOD}, {"resource": GOOD}]}, indent=1).encode()
    made: Hostile = {
        "sound": (whole, None),
        "bomb": (gzip.compress(b"{" + b" " * 50_000_000), "document_too_long"),
        "blank": (b" \n" * 1000, "file_empty"),
        "utf16": (whole.decode().encode("utf-16"), "nul_byte"),
        "latin1": (whole + b"\xe9", "encoding"),
        "many_empty_entries": (b'{"resourceType":"Bundle",\n"entry":[' + b"{}," * 100_000 + b"{}]}", "entry_unusable"),
        "entries_of_numbers": (b'{"resourceType":"Bundle",\n"entry":[' + b"1," * 100_000 + b"1]}", "entry_unusable"),
        "deep_entry": (b'{"resourceType":"Bundle",\n"entry":[{"resource":' + b'{"a":' * 50_000, "json_invalid"),
        "one_long_entry": (b'{"resourceType":"Bundle",\n"entry":[{"resource":{"id":"' + b"x" * 3_000_000 + b'"}}]}', "line_too_long"),
        "endless_text": (b'{"resourceType":"Bundle",\n"entry":[{"resource":{"id":"' + b"x" * 3_000_000, "line_too_long"),
        "type_at_the_end": (b'{"entry":[{"resource":' + json.dumps(GOOD).encode() + b'}],\n"resourceType":"Bundle"}', None),
        "type_twice": (b'{"resourceType":"Bundle",\n"entry":[],"resourceType":"Patient"}', "json_duplicate_key"),
        "bundle_as_a_value": (b'{"resourceType":"Basic","id":"1",\n"code":"Bundle"}', None),
        "surrogates_in_a_full_url": (b'{"resourceType":"Bundle",\n"entry":[{"fullUrl":"\\ud800","resource":' + json.dumps(GOOD).encode() + b"}]}", None),
        "quotes_in_an_id": (
            b'{"resourceType":"Bundle",\n"entry":[{"fullUrl":"u:1","resource":{"resourceType":"A","id":"\\",\\"x\\":\\"y"}},'
            b'{"resource":{"resourceType":"B","id":"b","r":{"reference":"u:1"}}}]}', None,
        ),
    }  # fmt: skip
    for n, cut in enumerate(range(20, len(whole) - 1, 23)):
        made[f"cut_{n:02}"] = (whole[:cut], "json_invalid")
    return {f"{name}.json": value for name, value in made.items()}


def table() -> Hostile:
    """One CSV each with the header id,name,value and one record."""
    head = b"id,name,value\n"
    made: Hostile = {
        "empty": (b"", "file_empty"),
        "bom": (b"\xef\xbb\xbf" + head + b"1,a,2\n", None),
        "crlf": (b"id,name,value\r\n1,a,2\r\n", None),
        "old_mac": (b"id,name,value\r1,a,2\r", None),
        "old_mac_of_one_long_line": (b"id,name,value\r1,a," + b"x" * 5_000_000, "line_too_long"),
        "utf16": ("id,name,value\n1,a,2\n".encode("utf-16"), "encoding"),
        "semicolons": (b"id;name;value\n1;a;2\n", None),
        "too_few": (head + b"1,a\n", "too_few_fields"),
        "too_many": (head + b"1,a,2,3\n", "too_many_fields"),
        "another_separator": (head + b"1;a;2\n", "too_few_fields"),
        "header_again": (head + b"id,name,value\n", "second_header"),
        "no_key": (head + b",a,2\n", "key_missing"),
        "blank_key": (head + b"   ,a,2\n", "key_missing"),
        "nul": (head + b"1,\x00,2\n", "nul_byte"),
        "nul_only": (head + bytes(40) + b"\n", "nul_byte"),
        "latin1": (head + b"1,\xe9,2\n", "encoding"),
        "open_quote": (head + b'1,"a,2\n', "unclosed_quote"),
        "quote_inside": (head + b'1,a"b,2\n', "unclosed_quote"),
        "quote_then_text": (head + b'1,"a"b,2\n', "unclosed_quote"),
        "quoted_break": (head + b'1,"a\nb",2\n', None),
        "quoted_crlf": (head + b'1,"a\r\nb",2\n', None),
        "doubled_quotes": (head + b'1,"say ""hm""",2\n', None),
        "one_long_line": (head + b"1," + b"x" * 3_000_000 + b",2\n", "line_too_long"),
        "formula": (head + b"1,=HYPERLINK(evil),2\n", None),
        "line_separator": (head + "1,a\u2028b,2\n".encode(), None),
        "form_feed": (head + b"1,a\x0cb,2\n", None),
        "vertical_tab": (head + b"1,a\x0bb,2\n", None),
        "right_to_left": (head + "1,\u202eabc,2\n".encode(), None),
        "emoji": (head + "1,🩺,2\n".encode(), None),
        "lone_surrogate": (head + b"1,\xed\xa0\x80,2\n", "encoding"),
        "control_character": (head + b"1,\x1a,2\n", None),
        "no_line_end": (head + b"1,a,2", None),
        "gzip_cut": (gzip.compress(head + b"1,a,2\n" * 5000)[:50], "file_unreadable"),
        "gzip_bomb": (gzip.compress(head + b"1," + b"x" * 200_000_000 + b",2\n"), "line_too_long"),
        "html": (head + b"<html>502 Bad Gateway</html>\n", "too_few_fields"),
        "json": (head + b'{"id":1}\n', "too_few_fields"),
    }
    return {f"{name}.csv": value for name, value in made.items()}


def notes() -> Hostile:
    """One text file each; the name tells the patient."""
    made: Hostile = {
        "p1_utf8": ("Müller hat Fieber".encode(), None),
        "p1_bom": (b"\xef\xbb\xbfFieber", None),
        "p1_cp1252": ("Müller – krank".encode("cp1252"), None),
        "p1_utf16": ("Fieber".encode("utf-16"), None),
        "p1_utf16cut": ("Fieber".encode("utf-16")[:-1], "file_unreadable"),
        "p1_nul": (b"a\x00b", "nul_byte"),
        "p1_program": (b"MZ\x90\x00" + bytes(100), "nul_byte"),
        "p1_no_encoding": (b"\x81\x8d\x8f\x90\x9d\xff", "encoding"),
        "p1_empty": (b"", "file_empty"),
        "p1_long": (b"x" * 3_000_000, "line_too_long"),
        "p1_bomb": (gzip.compress(b"x" * 200_000_000), "line_too_long"),
        "p1_blank": (b" \n\t\n", ANY),
        "p1_markup": (b"<script>alert(1)</script>", None),
        "nobody": (b"whose?", "file_name"),
        "p1_sql'; DROP TABLE person;--": (b"text", None),
    }
    return {f"{name}.txt": value for name, value in made.items()}


def dicom(seed: int = 7) -> Hostile:
    """Broken objects and archives made from a real CT; random damage may hit any byte."""
    ct = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    length = struct.pack("<L", 0xFFFFFFF0)
    pixels = ct.index(b"\xe0\x7f\x10\x00")
    made: Hostile = {
        "good.dcm": (ct, None),
        "empty.dcm": (b"", "file_empty"),
        "preamble_only.dcm": (bytes(128), "dicom_not_part10"),
        "magic_only.dcm": (bytes(128) + b"DICM", ANY),
        "no_preamble.dcm": (ct[132:], "dicom_not_part10"),
        "program.dcm": (b"MZ" + bytes(5000), "dicom_not_part10"),
        "text.dcm": (b"hello" * 100, "dicom_not_part10"),
        "png.dcm": (b"\x89PNG\r\n\x1a\n" + bytes(500), "dicom_not_part10"),
        "pixels_too_long.dcm": (ct[: pixels + 8] + length + ct[pixels + 12 :], "dicom_truncated"),
        "rubbish_after_magic.dcm": (ct[:132] + random.Random(seed).randbytes(4000), ANY),
        "ones.dcm": (ct[:132] + b"\xff" * 4000, ANY),
        "zeros.dcm": (ct[:132] + bytes(4000), ANY),
        "not.zip": (b"PK\x03\x04" + bytes(300), "file_unreadable"),
        "empty.zip": (_zip(), ANY),
        "climbing.zip": (_zip(("../../x.dcm", ct)), "archive_unsafe"),
        "absolute.zip": (_zip(("/etc/x.dcm", ct)), "archive_unsafe"),
        "bomb.zip": (_zip(("x.dcm", bytes(50_000_000))), "archive_unsafe"),
        "nested.zip": (_zip(("x.zip", _zip(("x.dcm", ct)))), "archive_unsafe"),
        "deflated_bomb.dcm": (_deflated(ct, bytes(300_000_000)), ANY),
    }
    for n, cut in enumerate(range(140, len(ct), len(ct) // 25)):
        made[f"cut_{n:02}.dcm"] = (ct[:cut], ANY)
    chance = random.Random(seed)
    for n in range(25):
        data = bytearray(ct)
        for _ in range(20):
            data[chance.randrange(132, 2000)] = chance.randrange(256)
        made[f"damaged_{n:02}.dcm"] = (bytes(data), ANY)
    return made


def cuts(at_least: int = 600) -> list[tuple[str, bytes]]:
    """(name, cut bytes): pydicom's small bundled files, cut at places spread over header and pixels."""
    whole = sorted(Path(str(get_testdata_file("CT_small.dcm"))).parent.glob("*.dcm"))
    sound = [path for path in whole if path.read_bytes()[128:132] == b"DICM" and path.stat().st_size < 400_000]
    each = at_least // len(sound) + 1
    made = []
    for path in sound:
        data = path.read_bytes()
        made += [(path.name, data[: len(data) * k // (each + 1)]) for k in range(1, each + 1)]
    return made


def _zip(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def _deflated(ct: bytes, body: bytes) -> bytes:
    """An object that says it is deflated and unpacks to `body`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = ct[:132].replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.1.99")
    uid = b"1.2.840.10008.1.2.1.99"
    element = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    group = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(element))
    return head + group + element + packer.compress(body) + packer.flush()
