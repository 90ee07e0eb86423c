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
    symbol = F.coalesce(*[F.nullif(F.regexp_extract(text, form, 1), F.lit("")) for form in (NUMBER, THOUSANDS, TITRE)])
    said = F.coalesce(symbol, F.lit(""))
    spelled = F.when(symbol == "≤", "<=").when(symbol == "≥", ">=").otherwise(said)
    return F.nullif(spelled, F.lit(""))


SIGN = r"(<=|>=|<|>|≤|≥)"
FIGURE = r"([+-]?\d+(?:[.,]\d+)?)"
TITRE = rf"^\s*{SIGN}?\s*(1)\s*:\s*(\d+)\s*$"  # 1:40, <1:10
PAIR = rf"^\s*(){FIGURE}\s*/\s*{FIGURE}\s*$"  # 120/80
RANGE = rf"^\s*(){FIGURE}\s*(?:-|–|to|\.\.)\s*{FIGURE}\s*$"  # 5-10
# The words that laboratories use for the two answers, and between them, in the languages of the samples and ours.
WORDS = {
    "negative": ("neg", "neg.", "negative", "negativ", "nég", "négatif", "not detected", "non-reactive", "nonreactive",
                 "absent", "none", "nil", "-", "(-)", "none seen", "nicht nachgewiesen"),
    "positive": ("pos", "pos.", "positive", "positiv", "positif", "detected", "reactive", "present", "+", "++", "+++",
                 "++++", "(+)", "1+", "2+", "3+", "4+", "nachgewiesen"),
    "borderline": ("trace", "tr", "+/-", "±", "borderline", "equivocal", "indeterminate", "weakly positive"),
}  # fmt: skip


def parts_of(text: Column) -> dict[str, Column]:
    """value_kind, value_parts and value_word of a result's text; the text itself is kept beside them.

    value_kind: number, bounded (an operator before it), titre, pair, range, word or text; null where nothing is said.
    value_parts: the numbers of a titre (1, 40), a pair (120, 80) or a range (5, 10). value_word: negative, positive or
    borderline.
    """
    lower = F.lower(F.trim(text))
    word = F.coalesce(*[F.when(lower.isin(*said), F.lit(name)) for name, said in WORDS.items()])
    forms = {"titre": TITRE, "pair": PAIR, "range": RANGE}
    parts = F.coalesce(*[F.when(text.rlike(form), F.array(_part(text, form, 2), _part(text, form, 3)))
                         for form in forms.values()])  # fmt: skip
    kind = F.when(text.isNull(), None).when(word.isNotNull(), "word")
    for name, form in forms.items():
        kind = kind.when(text.rlike(form), name)
    kind = kind.when(operator_of(text).isNotNull(), "bounded").when(number_of(text).isNotNull(), "number")
    return {"value_kind": kind.otherwise("text"), "value_parts": parts, "value_word": word}


def _part(text: Column, form: str, group: int) -> Column:
    return F.regexp_replace(F.regexp_extract(text, form, group), ",", ".").try_cast("double")
