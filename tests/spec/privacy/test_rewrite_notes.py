"""Notes are rewritten on executors as the engine does it in one process."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medlake.grammar.errors import MissingExtraError
from medlake.privacy import rewrite_notes
from medlake.privacy.lexicon import is_installed, lexicon
from medlake.privacy.recognise import find
from medlake.privacy.rewrite_notes import described, rewritten, tagged
from medlake.privacy.surrogates import Writer

ROWS = [
    ("Anna Meyer was seen on 2024-03-10. MRN 12345678.", ["Anna", "Meyer"], ["12345678"], "a1", -10),
    ("Dear Mr. Quill, call 555-123-4567.", None, None, "b2", -3),
    ("BP 120/80, potassium 4.5 mmol/L.", [], [None], "b2", -3),
    (None, ["Anna"], [], "a1", -10),
]
SHAPE = "note_text string, names array<string>, ids array<string>, event_key string, shift_days int"


@pytest.mark.skipif(not is_installed(), reason="the extra `notes` is not installed")
@pytest.mark.parametrize("surrogates", [True, False])
def test_a_note_is_rewritten_as_one_process_does(spark: SparkSession, surrogates: bool) -> None:
    notes = spark.createDataFrame(ROWS, SHAPE).repartition(2)
    told = {r["note_text"]: r["made"] for r in notes.withColumn("made", rewritten(F.col("note_text"), surrogates=surrogates)).collect()}
    for text, names, ids, key, days in ROWS:
        if text is None:
            assert told[text]["text"] is None and told[text]["n_replaced"] == 0
            continue
        spans = find(text, names or [], [i for i in ids or [] if i], known=lexicon())
        want = Writer(key.encode(), days, lexicon()).rewrite(text, spans) if surrogates else tagged(text, spans)
        assert (told[text]["text"], told[text]["n_replaced"]) == (want, len(spans))
    first = told[ROWS[0][0]]["text"]
    assert ("2024-02-29" if surrogates else "[NAME] was seen on [DATE]") in first
    assert not any(word in first for word in ("Anna", "Meyer", "12345678"))
    assert told[ROWS[2][0]]["text"] == ROWS[2][0], "what is no identifier stays"


@pytest.mark.skipif(not is_installed(), reason="the extra `notes` is not installed")
def test_a_description_of_images_names_nobody_at_all(spark: SparkSession) -> None:
    told = {
        "CT THORAX SMITH JOHN ROUTINE": "CT THORAX [NAME] [NAME] ROUTINE",
        "Abdomen Pelvis for Dr. Garcia": "Abdomen Pelvis for Dr. [NAME]",
        "axial T1 3 mm left kidney": "axial T1 3 mm left kidney",
        "Head of Quux": "Head of [NAME]",
        None: None,
    }
    rows = spark.createDataFrame([(text, ["Quux"], ["4711-77"]) for text in told], "text string, names array<string>, ids array<string>")
    found = rows.select("text", described(F.col("text"), frozenset({"routine"})).alias("made")).collect()
    assert {r["text"]: r["made"] for r in found} == told


def test_without_the_dictionaries_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite_notes, "is_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"medlake\[notes\]"):
        rewritten(F.lit("Anna"), surrogates=True)
