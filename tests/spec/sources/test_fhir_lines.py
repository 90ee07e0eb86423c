"""What a line of FHIR NDJSON must be, and what becomes of one that is not."""

from __future__ import annotations

import pytest

from medlake.sources.fhir import parse
from medlake.sources.reading import Refused

GOOD = b'{"resourceType": "Patient", "id": "1"}'


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (GOOD[:-3], "json_invalid"),
        (GOOD + GOOD, "json_trailing"),
        (b'{"id": "1", "id": "2"}', "json_duplicate_key"),
        (b'{"a": {"b": 1, "b": 2}}', "json_duplicate_key"),
        (b"[1, 2]", "json_not_object"),
        (b'{"a": NaN}', "json_not_finite"),
        (b'{"a": -Infinity}', "json_not_finite"),
        (b'{"a": 1e400}', "json_not_finite"),
        (b'{"a": "\xe9"}', "encoding"),
        (b'{"a": "\x00"}', "nul_byte"),
        (b"[" * 100_000, "json_invalid"),
        (b"", "json_invalid"),
    ],
)
def test_a_line_that_is_not_one_sound_object_is_refused_with_its_code(line: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(line)
    assert refused.value.code == code


def test_a_sound_line_is_taken_as_it_is() -> None:
    assert parse(b'{"a": "\xc3\xa9", "b": 1.50}') == {"a": "é", "b": 1.5}
