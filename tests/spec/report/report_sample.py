"""A made-up night, rich enough to look at: every kind of chart, hidden counts, hostile names."""

from __future__ import annotations

import math
import struct
import zlib

from medlake.report.care import Care, Follow, Link, Rule
from medlake.report.content import (
    AgeSex,
    Curve,
    Difference,
    Flag,
    Group,
    Groups,
    Metric,
    Modality,
    Named,
    Night,
    PageContent,
    Reason,
    Subgroup,
    TableQuality,
    Task,
    Thumbnail,
    YearCount,
)
from medlake.report.work import Change, FailedCheck, Intake, SetAside, StepRun, TableChecks, TableVersion, Weighed

HOSTILE = 'north<script>alert("1")</script>'


def png(shade: int, side: int = 96) -> bytes:
    """A small grey PNG with a disc."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def value(x: int, y: int) -> int:
        return shade if math.hypot(x - side / 2, y - side / 2) < side / 3 else 12

    lines = b"".join(b"\0" + bytes(value(x, y) for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def _curve(model: str, bend: float, *, falling: bool = False) -> Curve:
    xs = [at / 40 for at in range(41)]
    return Curve(model, tuple((x, 1 - (1 - 0.3) * x**bend if falling else x ** (1 / bend)) for x in xs))


def _task(name: str, title: str, question: str, aurocs: dict[str, float], kind: str) -> Task:
    spread = 0.045
    metrics = []
    for model, value in aurocs.items():
        metrics += [
            Metric(model, "auroc", value, value - spread, min(1, value + spread), 131),
            Metric(model, "auprc", value - 0.1, value - 0.2, value - 0.03, 131),
            Metric(model, "accuracy", value - 0.02, value - 0.08, value + 0.01, 131),
            Metric(model, "brier", 0.25 - value / 5, None, None, 131),
            Metric(model, "calibration_slope", 0.74, 0.5, 1.0, 131),
            Metric(model, "calibration_intercept", 0.06, -0.2, 0.3, 131),
        ]
    names = (
        "Visits in the last 365 days",
        "Age at the index time",
        "Systolic blood pressure",
        "Anemia (disorder)",
        "Hydrochlorothiazide 25 MG Oral Tablet",
        "Body mass index (BMI) [Ratio]",
        "Is female",
        "Hemoglobin A1c/Hemoglobin.total in Blood",
    )
    signs = (1, 1, 1, -1, 1, -1, -1, 1) if kind == "coefficient" else (1,) * 8
    best = max(aurocs, key=lambda model: aurocs[model])
    return Task(
        task=name,
        title=title,
        question=question,
        not_for=(
            "Not for decisions about a single patient: it was built on a few hundred synthetic records and "
            "has not been tried on another hospital's patients. Not for triage, not for rationing of care.",
        ),
        metrics=tuple(metrics),
        roc=tuple(_curve(model, 1 / (1 - value) - 1) for model, value in aurocs.items()),
        pr=tuple(_curve(model, 8 * value - 4, falling=True) for model, value in aurocs.items()),
        calibration=tuple(
            Curve(
                model,
                tuple((x, 0.1 + 0.74 * x + 0.03 * math.sin(9 * x + i)) for x in (0.08, 0.2, 0.37, 0.6, 0.83)),
            )
            for i, model in enumerate(aurocs)
        ),
        reasons=tuple(
            Reason(best, feature, sign * 0.9 / (at + 1), kind)
            for at, (feature, sign) in enumerate(zip(names, signs, strict=True))
        ),
        subgroups=(
            Subgroup(best, "sex", "8532", 68, None, 0.83),
            Subgroup(best, "sex", "8507", 63, None, 0.78),
            Subgroup(best, "age_band", "18–39", 47, None, 0.71),
            Subgroup(best, "age_band", "40–64", 52, None, 0.84),
            Subgroup(best, "age_band", "65+", None, "<11", None),
            Subgroup(best, "source", "north", 88, None, 0.81),
        ),
    )


def rich() -> PageContent:
    """A night with everything."""
    bands = ("0–17", "18–39", "40–64", "65+")
    women, men = (21, 24, 28, None), (19, 30, 17, 13)
    kinds = (
        "visit_occurrence",
        "condition_occurrence",
        "drug_exposure",
        "procedure_occurrence",
        "measurement",
        "observation",
        "note",
    )
    profile = {
        1: (
            ("Age at the index time", 1.4, 66.1, 41.0, "years", False, None),
            ("Essential hypertension (disorder)", 1.1, 0.82, 0.34, "", True, None),
            ("Hydrochlorothiazide 25 MG Oral Tablet", 0.9, 0.55, 0.2, "", True, None),
            ("Outpatient visits in the last 365 days", 0.7, 5.2, 3.1, "visits", False, None),
        ),
        2: (
            ("Age at the index time", -1.5, 9.2, 41.0, "a", False, None),
            ("Body Weight", -1.2, 33.0, 68.4, "kg", False, None),
            ("Essential hypertension (disorder)", -0.5, None, 0.34, "", True, "low"),
            ("Viral sinusitis (disorder)", 0.3, 0.61, 0.49, "", True, None),
        ),
        3: (
            ("Normal pregnancy (finding)", 1.9, 0.93, 0.16, "", True, None),
            ("Is female", 1.2, None, 0.52, "", True, "high"),
            ("Age at the index time", -0.3, 33.0, 41.0, "a", False, None),
            ("Anemia (disorder)", 0.2, 0.31, 0.25, "", True, None),
        ),
    }
    shapes = {
        1: (48, None, 3.1, 0.2, 1.2, 0.3, 0.8),
        2: (36, None, -2.6, -1.3, 0.5, -0.1, 0.6),
        3: (25, None, -0.2, 2.7, 0.6, 0.2, 0.4),
    }
    steps = ("ingest", "link", "build", "features", "cluster", "associate", "train", "score", "evaluate")
    seconds = (21.4, 6.2, 48.9, 12.0, 14.1, 6.3, 61.7, 5.0, 8.8)
    starts = (0, 21.5, 27.8, 76.9, 89.0, 89.1, 89.2, 151.0, 156.2)
    return PageContent(
        night=Night(
            "1", "2024-09-17 02:14 UTC", "0.1.0", "These people are synthetic: they were made by a program."
        ),
        n_persons=1141,
        n_in_several_sources=31,
        years=(1961, 2024),
        age_sex=(
            *(
                AgeSex(band, sex, n, None if n else "<11")
                for sex, counts in (("women", women), ("men", men))
                for band, n in zip(bands, counts, strict=True)
            ),
            AgeSex("unknown", "unknown", 989),
        ),
        persons_by_source=(
            Named("breast_cancer", 569),
            Named("diabetes", 442),
            Named(HOSTILE, 98),
            Named("south", None, "hidden"),
            Named("westside", None, "<11"),
        ),
        conditions=tuple(
            Named(name, n)
            for name, n in (
                ("Viral sinusitis (disorder)", 64),
                ("Essential hypertension (disorder)", 45),
                ("Acute bronchitis (disorder)", 41),
                ("Body mass index 30+ - obesity (finding)", 39),
                ("Prediabetes", 33),
                ("Anemia (disorder)", 33),
                ("Normal pregnancy (finding)", 21),
                ("Chronic sinusitis (disorder)", 19),
                ("Osteoarthritis of knee", 12),
                ("Cost $5 & <b>bold</b>", 11),
            )
        ),
        records_by_year=tuple(
            YearCount(
                kind, year, 5 + int((year - 1985) ** 1.5 * (3 + at) * (1.2 + math.sin(year * (at + 1))))
            )
            for at, kind in enumerate(kinds)
            for year in range(1986, 2025)
        ),
        quality=(
            TableQuality("silver.person", 1141, None),
            TableQuality("silver.visit_occurrence", 5480, 22),
            TableQuality("silver.condition_occurrence", 3320, 41),
            TableQuality("silver.drug_exposure", 4312, 3),
            TableQuality("silver.measurement", 38122, 1804),
            TableQuality("silver.observation", 9120, 0),
        ),
        flags=(
            Flag("silver.measurement", "unit_converted", 1311),
            Flag("silver.measurement", "value_out_of_range", 402),
            Flag("silver.measurement", "unit_unknown", 91),
            Flag("silver.condition_occurrence", "end_before_start", 41),
            Flag("silver.visit_occurrence", "type_visit_end_datetime", 22),
            Flag("silver.person", "gender_unknown", None, "<11"),
        ),
        modalities=(
            Modality("CT", 44, 2, 23_100_000, 14),
            Modality("MR", 6, 3, 1_900_000, None, "<11"),
            Modality("CR", 3, 3, 4_000_000, None, "<11"),
            Modality("US", 2, 2, 900_000, None, "<11"),
        ),
        thumbnails=tuple(
            Thumbnail(modality, png(shade))
            for modality, shade in (("CT", 150), ("CT", 190), ("MR", 120), ("CR", 220))
        ),
        groups=Groups(
            tuple(
                Group(k, *shapes[k], tuple(Difference(*one) for one in features))  # type: ignore[arg-type]
                for k, features in profile.items()
            ),
            0.31,
            0.74,
            "three groups are further apart than two, and four have a group of fewer than 11 people",
        ),
        rules=(
            Rule(
                ("Essential hypertension (disorder)",),
                ("Hydrochlorothiazide 25 MG Oral Tablet",),
                45,
                29,
                32,
                130,
                False,
            ),
            Rule(
                ("Prediabetes", "Body mass index 30+ - obesity (finding)"),
                ("Anemia (disorder)",),
                40,
                30,
                43,
                130,
                True,
            ),
            Rule(("Viral sinusitis (disorder)",), ("Acute bronchitis (disorder)",), 64, 37, 41, 130, False),
        ),
        care=Care(
            links=(
                Link("Prediabetes", "Anemia (disorder)", 33, 3.4, True),
                Link("Essential hypertension (disorder)", HOSTILE, 29, 2.1, False),
                Link("Essential hypertension (disorder)", "Prediabetes", 21, 1.4, False),
                Link("Viral sinusitis (disorder)", "Acute bronchitis (disorder)", 37, 1.2, False),
            ),
            follows=(
                Follow("Viral sinusitis (disorder)", "Acute bronchitis (disorder)", 31, 12, 210),
                Follow("Essential hypertension (disorder)", "Hydrochlorothiazide 25 MG Oral Tablet", 24, None, 1),
                Follow("Viral sinusitis (disorder)", HOSTILE, 13, None, 90),
            ),
        ),
        tasks=(
            _task(
                "emergency_within_year",
                "Emergency or inpatient visit within a year of an earlier visit",
                "an emergency or inpatient visit starts within 365 days after the index time",
                {"logistic": 0.81, "linear_svm": 0.79, "decision_tree": 0.66, "random_forest": 0.78},
                "coefficient",
            ),
            _task(
                "breast_cancer",
                "Malignant breast mass, from the cell nuclei of a fine needle aspirate",
                "the mass was diagnosed as malignant",
                {"logistic": 0.951, "linear_svm": 0.948, "decision_tree": 0.946, "random_forest": 0.953},
                "importance",
            ),
        ),
        intake=(
            Intake(
                HOSTILE,
                "FHIR R4 bulk export, 100 synthetic patients",
                14,
                18_400_000,
                52_311,
                52_102,
                171,
                38,
            ),
            Intake(
                "south",
                "CSV export, 60 synthetic patients, half of them also in north",
                9,
                6_100_000,
                21_020,
                20_911,
                80,
                29,
            ),
            Intake("pacs", "", 61, 31_000_000, 61, 52, 5, 4),
            Intake("diabetes", "442 patients of one study", 1, 60_000, 442, 442, 0, 0),
        ),
        set_aside=(
            SetAside(HOSTILE, "json_invalid", 21),
            SetAside("south", "too_many_fields", 14),
            SetAside("south", "orphan_person", 11),
            SetAside("north", "date_in_future", 9),
            SetAside("north", "json_trailing", 8),
            SetAside("south", "second_header", 4),
            SetAside("pacs", "dicom_truncated", 4),
        ),
        checks=(TableChecks("person", 61, 2), TableChecks("measurement", 210, 0)),
        failed_checks=(
            FailedCheck("person", "year_of_birth", "", "Years of birth that lie in the future.", True, 0.0, None, None),
            FailedCheck("person", "gender_concept_id", "8532", f"Rows of {HOSTILE}.", False, 0.05, 0.25, 0.125),
        ),
        weights=(
            Weighed("doubtful", 0, None, "<11"),
            Weighed("linked", 40, 128),
            Weighed("other_given_name", 20, 14),
        ),
        changes=(
            Change("silver.measurement", 812, 14, 3),
            Change("silver.visit_occurrence", 92, 3, 0),
            Change("silver.person", None, None, 0),
            Change("gold.feature_matrix", 12, 40, 0),
        ),
        steps=tuple(
            StepRun(step, start, took, "done")
            for step, start, took in zip(steps, starts, seconds, strict=True)
        ),
        versions=(
            TableVersion("silver.person", 3, 1, "build"),
            TableVersion("gold.cluster_model", 1, 1, "cluster"),
        ),
    )


def empty() -> PageContent:
    """A lake before its first night."""
    return PageContent(night=Night("0", "2024-09-17 02:14 UTC", "0.1.0"))
