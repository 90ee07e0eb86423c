"""What the page says about people, records and images, read from the lake with small counts hidden."""

from __future__ import annotations

from functools import reduce
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.privacy.disclosure import (
    HIDDEN,
    bound_rule_counts,
    hide_small_counts,
    hide_small_shares,
    is_safe_part,
    suppress_small_cells,
)
from medlake.report import care_tables, tables
from medlake.report.care import Care, Follow, Link, Rule
from medlake.report.content import (
    AgeSex,
    Difference,
    Flag,
    Group,
    Groups,
    Modality,
    Named,
    TableQuality,
    Thumbnail,
    YearCount,
)
from medlake.steps.context import Context

MAX_HIDDEN_CELLS = 0.25  # of an age table; a coarser one is shown above that


def people(ctx: Context) -> dict[str, Any]:
    """The fields of PageContent about people, records, images, groups and associations, by name."""
    small = ctx.settings.privacy.small_count
    silver = {name: ctx.lake.read(name) for name in (*tables.UNDATED, *tables.DATED)}
    person = silver["silver.person"]
    records = tables.records(silver).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        parts = ctx.side_by_side(
            [
                lambda: _who(person, silver["silver.condition_occurrence"], small),
                lambda: {"age_sex": _age_sex(person, records, small)},
                lambda: _quality(records, small),
                lambda: _images(ctx, silver["silver.image_occurrence"], small),
                lambda: {"groups": _groups(ctx, small)},
                lambda: {"rules": _rules(ctx, small)},
                lambda: {"care": _care(ctx, small)},
            ]
        )
    finally:
        records.unpersist()
    return {name: value for part in parts for name, value in part.items()}


def _who(person: DataFrame, condition: DataFrame, small: int) -> dict[str, Any]:
    totals = hide_small_counts(tables.persons(person), "n_in_several", minimum=small).first()
    n_persons = int(totals["n"]) if totals else 0
    sources = suppress_small_cells(tables.persons_by_source(person), "n", key=["name"], minimum=small)
    is_safe = is_safe_part(F.col("n"), F.lit(n_persons), minimum=small)
    return {
        "n_persons": n_persons,
        "n_in_several_sources": totals["n_in_several"] if totals else None,
        "persons_by_source": _sources(sources),
        "conditions": tuple(
            Named(r["name"], r["n"]) for r in tables.conditions(condition).where(is_safe).collect()
        ),
    }


def _sources(sources: DataFrame) -> tuple[Named, ...]:
    """Shown counts first, the largest on top."""
    rows = [Named(**row.asDict()) for row in sources.collect()]
    return tuple(sorted(rows, key=lambda one: (-(one.n or 0), one.n_mark or "", one.name)))


def _age_sex(person: DataFrame, records: DataFrame, small: int) -> tuple[AgeSex, ...]:
    """The finest table of ages that hides few cells; only this one is published."""
    finest_first = [
        tables.age_sex(person, records, lower_ends).withColumn("banding", F.lit(at))
        for at, lower_ends in enumerate(tables.AGE_BANDS)
    ]
    counted = reduce(DataFrame.unionByName, finest_first)
    safe = suppress_small_cells(counted, "n", key=["band", "sex"], within=["banding"], minimum=small)
    rows = safe.orderBy("banding", "position", "sex").collect()
    cells: tuple[AgeSex, ...] = ()
    for at in range(len(tables.AGE_BANDS)):
        mine = [row for row in rows if row["banding"] == at]
        cells = tuple(AgeSex(r["band"], r["sex"], r["n"], r["n_mark"]) for r in mine)
        known = [one for one in cells if one.band != "unknown"]
        if sum(one.n is None for one in known) <= MAX_HIDDEN_CELLS * len(known):
            break
    return cells


def _quality(records: DataFrame, small: int) -> dict[str, Any]:
    """Remarks by table; where a row is a person, few people are not counted out."""
    are_people = F.col("table").isin(*tables.UNDATED)
    counted = tables.quality(records).where(~are_people | (F.col("n_rows") >= small))
    by_table = hide_small_counts(counted, "n_flagged", when=are_people, minimum=small)
    flags = hide_small_counts(tables.flags(records), "n", when=are_people, minimum=small)
    order = {name: at for at, name in enumerate((*tables.UNDATED, *tables.DATED))}
    quality = [TableQuality(r["table"], r["n_rows"], r["n_flagged"]) for r in by_table.collect()]
    remarks = [Flag(**row.asDict()) for row in flags.collect()]
    years = tables.records_by_year(records).orderBy("kind", "year").collect()
    return {
        "records_by_year": tuple(YearCount(**row.asDict()) for row in years),
        "quality": tuple(sorted(quality, key=lambda one: order[one.table])),
        "flags": tuple(sorted(remarks, key=lambda one: (-(one.n or 0), one.table, one.flag))),
    }


def _images(ctx: Context, series: DataFrame, small: int) -> dict[str, Any]:
    kinds = hide_small_counts(tables.modalities(series), "n", minimum=small)
    pictures = tables.thumbnails(ctx.lake.read("gold.image_thumbnail"))
    modalities = [Modality(**row.asDict()) for row in kinds.collect()]
    return {
        "modalities": tuple(sorted(modalities, key=lambda one: (-one.n_images, one.modality))),
        "thumbnails": tuple(Thumbnail(r["modality"], bytes(r["png"])) for r in pictures.collect()),
    }


def _groups(ctx: Context, small: int) -> Groups:
    """The chosen grouping; what is known of a group of few people is its being there."""
    counted = tables.groups(ctx.lake.read("gold.cluster_assignment"))
    cells = suppress_small_cells(counted, "n", key=["cluster"], minimum=small).orderBy("cluster").collect()
    apart = tables.differences(ctx.lake.read("gold.cluster_profile"), ctx.lake.read("gold.feature_def"))
    shares = hide_small_shares(
        apart, "mean", F.col("n_persons"), when=F.col("is_share"), coarse=["effect_size"], minimum=small
    )
    safe = shares.where(
        (F.col("n_persons") >= small)
        & (
            ~F.col("is_share")
            | is_safe_part(F.round(F.col("overall_mean") * F.col("n_all")), F.col("n_all"), minimum=small)
        )
    )
    by_cluster: dict[int, list[Difference]] = {}
    for row in safe.orderBy("cluster", "rank").collect():
        names = ("feature", "effect_size", "mean", "overall_mean", "is_share", "mean_bound")
        one = Difference(unit=row["unit"] or "", **{name: row[name] for name in names})
        by_cluster.setdefault(row["cluster"], []).append(one)
    drawn = {row["cluster"]: row["n_mark"] in (None, HIDDEN) for row in cells}
    groups = tuple(
        Group(
            **{name: row[name] for name in ("cluster", "n", "n_mark", "x", "y", "xx", "xy", "yy")},
            differences=tuple(by_cluster.get(row["cluster"], ())),
            is_drawn=drawn[row["cluster"]],
        )
        for row in cells
    )
    chosen = ctx.lake.read("gold.cluster_model").where("is_chosen").orderBy("model", "k").first()
    if chosen is None:
        return Groups(groups)
    return Groups(
        groups, chosen["silhouette"], chosen["stability"], chosen["reason"].removeprefix("chosen: ")
    )


def _rules(ctx: Context, small: int) -> tuple[Rule, ...]:
    counts = tables.rule_counts(ctx.lake.read("gold.association_rule"))
    safe = bound_rule_counts(counts, "n_if", "n_both", "n_then", "n_all", minimum=small)
    named = tables.strongest_rules(safe, ctx.lake.read("ref.item_name")).orderBy("position")
    numbers = ("n_if", "n_both", "n_then", "n_all", "is_bound")
    return tuple(
        Rule(tuple(row["if_names"]), tuple(row["then_names"]), **{name: row[name] for name in numbers})
        for row in named.collect()
    )


def _care(ctx: Context, small: int) -> Care:
    """The comorbidity network and the frequent sequences; a number of few people is not shown."""
    item_name = ctx.lake.read("ref.item_name")
    links = care_tables.link_counts(ctx.lake.read("gold.comorbidity_edge"), item_name)
    safe_links = bound_rule_counts(links, "n_if", "n_both", "n_then", "n_all", minimum=small)
    follows = care_tables.follow_counts(ctx.lake.read("gold.sequence_pattern"), item_name)
    safe = hide_small_counts(follows.where(F.col("n") >= small), "n_reverse", minimum=small).drop("n_reverse_mark")
    numbers, counts = ("n_both", "lift", "is_bound"), ("n", "n_reverse", "median_days")
    return Care(
        tuple(
            Link(r["first"], r["second"], **{name: r[name] for name in numbers})
            for r in care_tables.strongest_links(safe_links, item_name).orderBy("position").collect()
        ),
        tuple(
            Follow(r["first"], r["then"], **{name: r[name] for name in counts})
            for r in care_tables.frequent_follows(safe, item_name).orderBy("position").collect()
        ),
    )
