"""Codes rolled up along ICD and ATC."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from medlake.ml.hierarchy import atc_level, icd9_category, icd10_category, rolled_up
from tables import rows


def test_codes_roll_up_to_their_category(spark):
    codes = rows(spark, None, """
        code    | icd9 | icd10
        250.83  | 250  | 250.83
        25083   | 250  | 25083
        V45.81  | V45  | V45
        V4581   | V45  | V45
        e8780   | E878 | E87
        E11.9   | E11.9 | E11
        C7A.010 | C7A.010 | C7A
        ?       | ?    | ?
        null    | null | null
    """)  # fmt: skip
    told = codes.where(F.coalesce(icd9_category(F.col("code")), F.lit("")) != F.coalesce("icd9", F.lit("")))
    assert told.collect() == []
    told = codes.where(F.coalesce(icd10_category(F.col("code")), F.lit("")) != F.coalesce("icd10", F.lit("")))
    assert told.collect() == []


@pytest.mark.parametrize(("level", "want"), [(1, "A"), (2, "A10"), (3, "A10B"), (4, "A10BA"), (5, "A10BA02")])
def test_atc_has_five_levels(spark, level, want):
    codes = rows(spark, None, "code\nA10BA02\na10ba02\nmetformin")
    assert [r[0] for r in codes.select(atc_level(F.col("code"), level)).collect()] == [want, want, "metformin"]
    above = rows(spark, None, "code\nA10")
    assert above.select(atc_level(F.col("code"), level)).first()[0] == ("A" if level == 1 else "A10")


def test_there_is_no_sixth_level():
    with pytest.raises(ValueError, match="1 to 5"):
        atc_level(None, 6)


def test_items_of_other_vocabularies_stay(spark):
    items = rows(spark, None, """
        item            | want
        ICD9CM//250.83  | ICD9CM//250
        ICD-10-CM//E119 | ICD-10-CM//E11
        ATC//A10BA02    | ATC//A10B
        SNOMED//250.83  | SNOMED//250.83
        ICD9CM//nothing | ICD9CM//nothing
        25083           | 25083
    """)  # fmt: skip
    assert items.where(rolled_up(F.col("item")) != F.col("want")).collect() == []
