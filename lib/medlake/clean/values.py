"""What a result says: operator, number, text; `>90`, `<0.01`, `7,4` keep all they said."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# an operator, a number with a decimal point or comma, an exponent
NUMBER = r"^\s*(<=|>=|<|>|≤|≥)?\s*([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*$"
THOUSANDS = r"^\s*(<=|>=|<|>|≤|≥)?\s*([+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?)\s*$"  # 1,234.5


def number_of(text: Column) -> Column:
    """The number in the text, null where it holds none; a comma is a decimal one unless it groups thousands."""
    grouped = F.regexp_replace(F.regexp_extract(text, THOUSANDS, 2), ",", "")
    plain = F.regexp_replace(F.regexp_extract(text, NUMBER, 2), ",", ".")
    return F.when(grouped.contains("."), grouped).otherwise(plain).try_cast("double")


def operator_of(text: Column) -> Column:
    """`<`, `<=`, `>` or `>=` before the number; null where the value is exact or no number."""
    said = F.translate(F.regexp_extract(text, NUMBER, 1), "≤≥", "")
    symbol = F.regexp_extract(text, NUMBER, 1)
    spelled = F.when(symbol == "≤", "<=").when(symbol == "≥", ">=").otherwise(said)
    return F.nullif(spelled, F.lit(""))
