"""The quick parser never vouches for a text that the strict one refuses, and says the same of the others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlake.sources import fhir
from medlake.sources.quick_json import quick_object
from medlake.sources.reading import Refused


def strict(line: bytes, monkeypatch: pytest.MonkeyPatch) -> object:
    """What the strict parser alone says: the object, or the code of the refusal."""
    with monkeypatch.context() as patched:
        patched.setattr(fhir, "quick_object", lambda _: None)
        try:
            return fhir.parse(line)
        except Refused as fault:
            return fault.code


@pytest.mark.parametrize(
    ("line", "quick"),
    [
        (rb'{"a": 1, "b": ["x", {"c": "y\"z"}]}', True),
        (rb'{"a": "\u00e9\\\/"}', True),
        (rb'{"a": 1, "a": 1}', False),
        (rb'{"a" : 1, "a":2}', False),
        (rb'{"a": {"b": 1, "\u0062": 2}}', False),
        (rb'{"a": "\u0022", "b": 1, "b": 2}', False),
        (rb'{"a": "\u0022"}', False),
        (rb'{"a": 1e999}', False),
        (b'{"a": ' + b"9" * 500 + b"}", False),
        (rb'{"a": NaN}', False),
        (rb'{"a": "\ud800"}', False),
        (b'{"a": "\x00"}', False),
        (b'{"a": "\xff"}', False),
        (b"\xef\xbb\xbf{}", False),
        (rb'{"a": 1} {"b": 2}', False),
        (b'{"a":' * 300 + b"1" + b"}" * 300, False),
        (b"[1]", False),
        (b"", False),
    ],
)
def test_what_the_quick_parser_vouches_for(line: bytes, quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found = quick_object(line)
    assert (found is not None) == quick
    if quick:
        assert found == strict(line, monkeypatch)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=3), PLAIN, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_a_key_that_stands_twice_is_always_seen(value: dict[str, object], escaped: bool, wide: bool) -> None:
    separators = (" , ", " : ") if wide else (",", ":")
    whole = json.dumps(value, ensure_ascii=escaped, separators=separators)
    twice = "{" + whole[1:-1] + separators[0] + whole[1:-1] + "}"
    try:
        line = whole.encode()
    except UnicodeEncodeError:  # half a character
        return
    assert quick_object(line) in (value, None)
    assert quick_object(twice.encode()) is None
