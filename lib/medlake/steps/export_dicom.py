"""export dicom: the published objects as de-identified Part 10 files, made by executors from what landed.

The header by PS3.15 annex E, the pixels searched for writing; what may show somebody is held back with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.imaging_instance import with_burned_in_risk
from medlake.clean.judge import vault_keys
from medlake.doors.outbox import Make, Outbox
from medlake.grammar.isolated import NoAnswerError
from medlake.imaging import writing
from medlake.imaging.bare import strip
from medlake.imaging.decode import read_object
from medlake.imaging.guarded import guarded
from medlake.privacy.dicom_object import deidentified, lenient
from medlake.privacy.dicom_profile import Profile, profile_of
from medlake.privacy.dicom_values import Person
from medlake.privacy.scrub_text import own_words
from medlake.steps.context import Context
from medlake.steps.sources import all_sources, patients_of

TIME_LIMIT_S = 600.0  # many frames searched for writing
OBJECTS_PER_TASK = 500  # some minutes of searching for writing
HELD = {
    "burned_in_risk": "carries writing as a rule, or says that it does, and no pixel_rule fits",
    "burned_in_text": "writing was found",
    "document": "a document or a report: its content is its text",
    "film": "a film: it cannot be searched",
    "face": "a face may be recognised",
    "pixels_unreadable": "the object cannot be read or decoded",
    "moved": "another object lies where this one was",
}
TEXT_CLASSES = ("1.2.840.10008.5.1.4.1.1.104.", "1.2.840.10008.5.1.4.1.1.88.")  # encapsulated documents, reports
FILMS = "1.2.840.10008.1.2.4.10"  # MPEG-2, MPEG-4, HEVC
SCREENS = ("SCREEN SAVE", "REPORT", "DOSE_INFO", "PATIENT_INFO")
FACE_MODALITIES = ("CT", "MR", "PT")
NO_FACE = (
    "ABDOMEN", "ANKLE", "ARM", "BREAST", "CHEST", "ELBOW", "FOOT", "HAND", "HEART", "HIP", "KNEE", "LEG", "LSPINE",
    "LUNG", "PELVIS", "PROSTATE", "SHOULDER", "THORAX", "TSPINE", "WRIST",
)  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """How objects go out: the profile, what is done about pixels, and whether Tesseract is there."""

    profile: Profile
    key: bytes
    frames: int
    rules: tuple[Mapping[str, Any], ...]
    can_search: bool


def policy_of(ctx: Context, *, can_search: bool | None = None) -> Policy:
    """The policy of conf/dicom.toml; without Tesseract, pixels are not said to be clean."""
    choices = ctx.conf.toml("dicom.toml")
    can = writing.has_engine() if can_search is None else can_search
    wanted = [o for o in choices.get("options", ()) if can or o != "clean_pixel_data"]
    profile = profile_of(ctx.conf.toml("dicom_profile.toml"), {**choices, "options": wanted})
    rules = tuple(choices.get("pixel_rule", ()))
    return Policy(profile, ctx.key, int(choices.get("pixels", {}).get("frames", writing.FRAMES)), rules, can)


def write_objects(ctx: Context, box: Outbox, policy: Policy) -> dict[str | None, tuple[int, int]]:
    """Write every published object that may go; reason (None: written) → (objects, bytes)."""

    @contextmanager
    def opened() -> Iterator[Make]:
        with guarded(lambda row, part: released(row, part, policy), time_limit_s=TIME_LIMIT_S) as child:

            def make(row: dict[str, Any], part: Path) -> str | None:
                try:
                    return child(row, part)
                except NoAnswerError:
                    return "pixels_unreadable"

            yield make

    rows = published(ctx)
    sums = F.count("*").alias("n"), F.sum("n_bytes").alias("n_bytes")
    done = box.write_each(rows, opened).groupBy("reason").agg(*sums)
    return {r["reason"]: (r["n"], r["n_bytes"]) for r in done.collect()}  # a row per reason


def published(ctx: Context) -> DataFrame:
    """One row per object of silver.imaging_instance: where it lies, whose it is, and under which name it goes out."""
    objects = with_burned_in_risk(ctx.lake.read("bronze.dicom_object"))
    files = ctx.lake.read("bronze.landing_file")
    newest = files.groupBy("source", "file_sha256").agg(F.max_by("uri", F.struct("batch", "file")).alias("uri"))
    uids = ctx.lake.read("vault.uid_map").withColumnRenamed("uid", "sop_instance_uid")
    patients = patients_of(all_sources(ctx.conf))
    source_of = F.create_map(*[F.lit(text) for pair in sorted(patients.items()) for text in pair])
    name = F.concat(F.concat_ws("/", "s.study_uid", "s.series_uid", "s.sop_instance_uid"), F.lit(".dcm"))
    silver = ctx.lake.read("silver.imaging_instance").alias("s")
    names = silver.select(F.col("s.sop_instance_uid").alias("mapped_uid"), "s.person_id", name.alias("name"))
    vault, identity = ctx.lake.read("vault.id_vault"), ctx.lake.read("vault.identity")
    keys = vault_keys(vault, identity, ctx.lake.read("vault.date_offset")).drop("person_id", "born_on", "died_at")
    own = own_words(identity, vault).select("person_id", F.array_compact(F.concat("names", "ids")).alias("words"))
    placed = objects.withColumns(
        {"patient_source": source_of[F.col("source")], "person_source_value": F.trim("patient_key")}
    ).join(newest, on=["source", "file_sha256"], how="inner")
    found = (
        placed.join(uids, on="sop_instance_uid", how="inner")
        .join(names, on="mapped_uid", how="inner")
        .join(keys, on=["patient_source", "person_source_value"], how="inner")
        .join(own, on="person_id", how="left")
    )
    columns = ("name", "uri", "row", "sop_instance_uid", "modality", "burned_in_risk", "person_id", "event_key",
               "shift_days", "words")  # fmt: skip
    return found.select(*columns).repartition(_tasks(ctx), "name")


def _tasks(ctx: Context) -> int:
    n = ctx.lake.read("silver.imaging_instance").count()
    return int(max(ctx.spark.sparkContext.defaultParallelism, n // OBJECTS_PER_TASK))


def released(row: dict[str, Any], part: Path, policy: Policy) -> str | None:
    """Write one object de-identified to `part`; the reason where it is held back (a key of `HELD`)."""
    with lenient():
        dataset = pydicom.dcmread(BytesIO(read_object(row["uri"], row["row"])))
        if str(dataset.get("SOPInstanceUID")) != row["sop_instance_uid"]:
            return "moved"
        reason = _unfit(dataset, policy)
        if reason is not None:
            return reason
        own = tuple(word for word in row["words"] or () if word)
        person = Person(row["person_id"], row["event_key"], row["shift_days"], policy.key, own)
        search = _shows_writing if policy.can_search else None
        made = deidentified(dataset, policy.profile, person, is_writing=search)
        reason = pixels(made, policy, is_risky=bool(row["burned_in_risk"]) or _is_screen(dataset))
        if reason is None:
            pydicom.dcmwrite(part, made, enforce_file_format=True)
        return reason


def _unfit(dataset: FileDataset, policy: Policy) -> str | None:
    """Why an object of this kind does not go out, whatever its pixels show."""
    options, sop_class = policy.profile.options, str(dataset.get("SOPClassUID"))
    if sop_class.startswith(TEXT_CLASSES[0]) or "EncapsulatedDocument" in dataset:
        return "document"
    if sop_class.startswith(TEXT_CLASSES[1]) and "clean_structured_content" not in options:
        return "document"
    if dataset.file_meta.TransferSyntaxUID.startswith(FILMS):
        return "film"
    may_face = dataset.get("Modality") in FACE_MODALITIES and dataset.get("BodyPartExamined") not in NO_FACE
    defaced = dataset.get("RecognizableVisualFeatures") == "NO"
    return "face" if "clean_recognizable_features" in options and may_face and not defaced else None


def _is_screen(dataset: FileDataset) -> bool:
    kinds = [str(kind).upper() for kind in np.atleast_1d(dataset.get("ImageType") or [])]
    return any(kind in SCREENS for kind in kinds) or bool(dataset.get("ConversionType"))


def pixels(made: FileDataset, policy: Policy, *, is_risky: bool) -> str | None:
    """See to an object's pixels, in place; the reason where they may not go out."""
    if not any(name in made for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return None
    rule = next((r for r in policy.rules if _fits(r, made)), None)
    if is_risky and (rule is None or not policy.can_search):
        return "burned_in_risk"
    if rule is not None:
        boxes = _boxes(rule, made)
        if boxes is None:
            return "burned_in_risk"
        writing.black_out(made, boxes)
    if policy.can_search:
        reason = _searched(made, policy, every_frame=is_risky)
        if reason is not None:
            return reason
        made.BurnedInAnnotation = "NO"
    if "clean_recognizable_features" in policy.profile.options:
        made.RecognizableVisualFeatures = "NO"
    strip(made)
    return None


def _searched(made: FileDataset, policy: Policy, *, every_frame: bool) -> str | None:
    """Black out what writing is found, and search again."""
    most = None if every_frame else policy.frames
    for _ in range(2):
        found = writing.search(made, most=most)
        if not found.is_writing:
            return None
        if "clean_pixel_data" not in policy.profile.options:
            return "burned_in_text"
        writing.black_out(made, found.boxes)
    return "burned_in_text" if writing.search(made, most=most).is_writing else None


def _fits(rule: Mapping[str, Any], made: FileDataset) -> bool:
    said = {"modality": "Modality", "manufacturer": "Manufacturer", "model": "ManufacturerModelName"}
    texts = all(str(made.get(keyword)) == rule[name] for name, keyword in said.items() if name in rule)
    sizes = {"rows": "Rows", "columns": "Columns"}
    return texts and all(made.get(keyword) == rule[name] for name, keyword in sizes.items() if name in rule)


def _boxes(rule: Mapping[str, Any], made: FileDataset) -> tuple[writing.Box, ...] | None:
    """What a rule blacks out; None where it needs regions and the object has none."""
    boxes = tuple(writing.Box(*box) for box in rule.get("blank", ()))
    if rule.get("keep") != "regions":
        return boxes
    return (*boxes, *writing.outside(made)) if "SequenceOfUltrasoundRegions" in made else None


def _shows_writing(bits: bytes, rows: int, columns: int) -> bool:
    """Whether an overlay's packed bits show writing."""
    plane = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: rows * columns]
    return writing.find_writing(plane.reshape(rows, columns) * np.uint8(255)).is_writing
