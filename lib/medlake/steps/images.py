"""gold.image_feature and gold.image_thumbnail: each object decoded once, on the executors.

Only objects that silver.imaging_instance publishes are measured; UIDs are the mapped ones.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.imaging_instance import with_burned_in_risk
from medlake.grammar.contract import promise
from medlake.imaging.measured import features, image_features, thumbnails
from medlake.steps.context import Context


def measure(ctx: Context) -> None:
    """Decode what came in as DICOM and write what was measured, and a small picture where one is safe."""
    objects = ctx.lake.read("bronze.dicom_object")
    published = ctx.lake.read("silver.imaging_instance").select(
        F.col("sop_instance_uid").alias("mapped_uid"), "person_id"
    )
    uids = ctx.lake.read("vault.uid_map").withColumnRenamed("uid", "sop_instance_uid")
    known = uids.join(published, on="mapped_uid", how="inner")
    measured = image_features(_placed(ctx, with_burned_in_risk(objects)).repartition(8, "sop_instance_uid"))
    found = measured.localCheckpoint().join(known, on="sop_instance_uid", how="inner").drop("sop_instance_uid")
    found = found.withColumnRenamed("mapped_uid", "sop_instance_uid").localCheckpoint()
    ctx.lake.merge("gold.image_feature", features(found))
    pictures = thumbnails(found).join(found.select("sop_instance_uid", "person_id"), on="sop_instance_uid", how="inner")
    ctx.lake.merge("gold.image_thumbnail", pictures.select(*promise("gold.image_thumbnail").columns))


def _placed(ctx: Context, objects: DataFrame) -> DataFrame:
    """Adds `uri`: where the object's file was last seen; a moved file is found by its content."""
    files = ctx.lake.read("bronze.landing_file")
    newest = files.groupBy("source", "file_sha256").agg(F.max_by("uri", F.struct("batch", "file")).alias("uri"))
    return objects.join(newest, on=["source", "file_sha256"], how="inner")
