"""Pseudonyms: keyed, stable and without a way back for whoever lacks the key.

HMAC-SHA-256 throughout: an unkeyed hash of an eight-digit record number falls in a minute on one core.
The key never stands in a query plan: it travels inside the pickled function, or (per source key) as a
column of the vault, so that ids of millions of events need no Python.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

ID_BITS = 0x7FFFFFFFFFFFFFFF  # a BIGINT without its sign
UID_ROOT = "2.25"  # DICOM PS3.5 B.2: a UUID as one decimal number
UID_BITS = 128


def keyed_hash(key: bytes, *fields: Column) -> Column:
    """HMAC-SHA-256 of the fields as 64 hex digits; the fields are separated by their names (JSON)."""

    def run(values: pd.Series) -> pd.Series:
        return values.map(lambda text: hmac.new(key, text.encode(), sha256).hexdigest())

    hashed: Column = pandas_udf(run, "string")(F.to_json(F.struct(*fields)))  # type: ignore[call-overload]
    return hashed


def mapped_uid(key: bytes, uid: Column) -> Column:
    """The DICOM UID that stands for `uid` in the open zone: 2.25.<128-bit number>; null stays null."""

    def run(values: pd.Series) -> pd.Series:
        return values.map(lambda text: None if text is None else uid_for(key, text))

    mapped: Column = pandas_udf(run, "string")(uid)  # type: ignore[call-overload]
    return mapped


def mapped_uids(key: bytes, uids: Column) -> Column:
    """`mapped_uid` of each UID of an array, sorted anew: the order of the originals would tell something of them."""

    def run(values: pd.Series) -> pd.Series:
        return values.map(
            lambda texts: None if texts is None else sorted(uid_for(key, t) for t in texts if t is not None)
        )

    mapped: Column = pandas_udf(run, "array<string>")(uids)  # type: ignore[call-overload]
    return mapped


def uid_for(key: bytes, uid: str) -> str:
    """One UID, as `mapped_uid` makes it."""
    digest = hmac.new(key, b"uid" + uid.encode(), sha256).digest()
    return f"{UID_ROOT}.{int.from_bytes(digest[: UID_BITS // 8], 'big')}"


def id_from(digest: Column) -> Column:
    """A non-negative BIGINT from the first 16 of a digest's hex digits."""
    return F.conv(F.substring(digest, 1, 16), 16, -10).cast("bigint").bitwiseAND(F.lit(ID_BITS))


def keyed_id(event_key: Column, name: Column) -> Column:
    """The id of what has this natural key, e.g. a visit or an event of a silver table; null where either is null."""
    made = id_from(F.sha2(F.concat_ws("|", event_key, name), 256))
    return F.when(name.isNotNull() & event_key.isNotNull(), made)


def pseudonym(event_key: Column, value: Column) -> Column:
    """16 hex digits that stand for an identifier of one person; null stays null."""
    return F.when(value.isNotNull(), F.substring(F.sha2(F.concat_ws("|", event_key, value), 256), 1, 16))


def pseudonym_for(event_key: str, value: str) -> str:
    """One identifier, as `pseudonym` makes it."""
    return sha256(f"{event_key}|{value}".encode()).hexdigest()[:16]
