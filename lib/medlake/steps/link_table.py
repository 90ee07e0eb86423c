"""link --csv: a table of people, whichever columns it has, to key and cluster_id; no lake is needed."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medlake.doors import session
from medlake.doors.outbox import Outbox
from medlake.doors.settings import Conf, load
from medlake.grammar.errors import UsageError
from medlake.link.fields import ROLES, as_fields
from medlake.link.review import RULED
from medlake.link.rules import link_pairs, normalised
from medlake.steps import linkage
from medlake.steps.context import Progress
from medlake.steps.runner import Options

KEY, SOURCE, BROKEN = "id", "csv", "_broken"
LARGE_BYTES = 2_000_000  # a file from which on Spark's generated code is worth its time
LARGE = {
    **session.GENERATED,
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC", "spark.driver.memory": "6g",
    "spark.sql.shuffle.partitions": "16", "spark.sql.adaptive.enabled": "true",
}  # fmt: skip
# Names of columns that say which role they have, without case and anything that is no letter or digit.
GUESSES: Mapping[str, tuple[str, ...]] = {
    "given_name": ("givenname", "givennames", "firstname", "first", "forename", "given", "vorname"),
    "family_name": ("familyname", "surname", "lastname", "last", "family", "nachname"),
    "maiden_name": ("maidenname", "maiden", "birthname", "geburtsname"),
    "birth_date": ("birthdate", "dateofbirth", "dob", "born", "geburtsdatum"),
    "sex": ("sex", "gender", "geschlecht"),
    "house_number": ("housenumber", "streetnumber", "hausnummer"),
    "street": ("street", "streetname", "address", "address1", "addressline", "addressline1", "strasse"),
    "city": ("city", "town", "suburb", "ort"),
    "zip": ("zip", "zipcode", "postcode", "postalcode", "plz"),
    "phone": ("phone", "phonenumber", "telephone", "tel", "mobile", "telefon"),
    "email": ("email", "emailaddress", "mail"),
    "national_id": ("nationalid", "ssn", "socsecid", "socialsecuritynumber", "nhsnumber", "insurancenumber"),
}


def link_table(options: Options, file: Path, key: str, export: Path, roles: list[str]) -> None:
    """Link the rows of a CSV file and write key and cluster_id to a new CSV file.

    Raises:
        UsageError: the file, a column, a role or the key is not what the command says it is.
    """
    header = header_of(file)
    if key not in header:
        raise UsageError(f"link: there is no column {key} in {file.name}: {', '.join(header)}")
    if export.exists():
        raise UsageError(f"--export {export}: there is something already. Name a new file.")
    named = roles_of(header, roles, key)
    conf = Conf(options.conf)
    settings = load(conf, options.profile)
    progress = Progress()
    progress.say("link: " + ", ".join(f"{column} as {role}" for role, column in named.items()))
    large = LARGE if file.stat().st_size >= LARGE_BYTES and options.profile == "local" else {}
    spark = session.start("medlake link", conf.spark(options.profile) | large)
    people = read(spark, file, header).select(
        F.col(f"`{key}`").alias(KEY), *[F.col(f"`{column}`").alias(role) for role, column in named.items()]
    )
    choices = linkage.Choices.of(settings.link, settings.seed)
    found = clusters(people, conf, choices, rounds=settings.link.rounds, say=progress.say)
    with Outbox(export.with_name(f".{export.name}.folder"), is_private=True) as box:
        box.write(found.withColumnRenamed(KEY, key).orderBy("cluster_id", key).coalesce(1), "csv", "clusters-")
    (box.to / "clusters-00000.csv").rename(export)
    box.to.rmdir()
    export.chmod(0o600)
    progress.say(f"link: {export}")


def header_of(file: Path) -> list[str]:
    """The column names of a CSV file.

    Raises:
        UsageError: there is no such file, or its first line names no columns, or one twice.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = [cell.strip() for cell in next(csv.reader(lines), [])]
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"link: {file} cannot be read as UTF-8 text ({type(fault).__name__})") from fault
    if not header or len(set(header)) < len(header) or not all(header):
        raise UsageError(f"link: the first line of {file.name} must name each column, and none twice")
    return header


def roles_of(header: list[str], said: list[str], key: str) -> dict[str, str]:
    """Role → column: as said (`column=role`), else guessed from the columns' names.

    Raises:
        UsageError: a column or a role is not known, or nothing is left to link by.
    """
    told: dict[str, str] = {}
    for one in said:
        column, _, role = one.rpartition("=")
        if column not in header or role not in ROLES:
            raise UsageError(f"--role {one}: say COLUMN=ROLE, with a column of the file and one of {', '.join(ROLES)}")
        told[role] = column
    for column in header:
        plain = re.sub(r"[^a-z0-9]", "", column.lower())
        role = next((r for r, names in GUESSES.items() if plain in names), "")
        if role and role not in told and column != key and column not in told.values():
            told[role] = column
    if not told:
        raise UsageError(f"link: no column tells of people; say which with --role COLUMN=ROLE ({', '.join(ROLES)})")
    return {role: told[role] for role in ROLES if role in told}


def read(spark: SparkSession, file: Path, header: list[str]) -> DataFrame:
    """The rows as text, blanks around a cell taken away; an empty cell is null.

    Raises:
        UsageError: a row has more or fewer cells than the header.
    """
    schema = ", ".join(f"`{name.replace('`', '``')}` string" for name in [*header, BROKEN])
    rows = (
        spark.read.options(header=True, multiLine=True, escape='"', columnNameOfCorruptRecord=BROKEN)
        .option("ignoreLeadingWhiteSpace", True).option("ignoreTrailingWhiteSpace", True)
        .schema(schema).csv(str(file.absolute())).localCheckpoint()
    )  # fmt: skip
    n = rows.where(F.col(BROKEN).isNotNull()).count()
    if n:
        raise UsageError(f"link: {n:,} row(s) of {file.name} have more or fewer cells than the first line")
    return rows.drop(BROKEN)


def clusters(people: DataFrame, conf: Conf, choices: linkage.Choices, *, rounds: int, say: linkage.Say) -> DataFrame:
    """(id, cluster_id): rows of one person share the least of their keys. `people`: id and columns named by role.

    Raises:
        UsageError: a key is missing or stands twice.
    """
    seen = people.agg(
        F.count("*").alias("n"), F.count_distinct(KEY).alias("n_keys")
    ).first()
    assert seen is not None
    if seen["n"] != seen["n_keys"]:
        raise UsageError(f"link: the key is missing or stands twice in {seen['n'] - seen['n_keys']:,} row(s)")
    records = as_fields(people, linkage.given_names(conf, people)).repartition(KEY).localCheckpoint()
    ruled = ruled_pairs(records).localCheckpoint()
    model = linkage.modelled(records, ruled, choices, key=KEY, say=say)
    pairs = linkage.scored(records, records.limit(0), model, choices, key=KEY).localCheckpoint()
    told = {row["decision"]: row["count"] for row in pairs.groupBy("decision").count().collect()}
    say("link: " + ", ".join(f"{told.get(d, 0):,} pairs {d}" for d in ("linked", "doubtful", "vetoed")))
    linked = pairs.where("decision = 'linked'").select(*ruled.columns, F.col("match_weight").alias("strength"))
    strong = ruled.withColumn("strength", F.lit(RULED)).unionByName(linked)
    apart = pairs.where("decision = 'vetoed'").select(*ruled.columns)
    return joined(records, strong, apart, rounds=rounds, say=say)


def ruled_pairs(records: DataFrame) -> DataFrame:
    """(id_l, id_r): pairs that the deterministic rules say to be one person."""
    keyed = records.withColumns({"source": F.lit(SOURCE), "person_source_value": F.col(KEY).cast("string")})
    return link_pairs(normalised(keyed)).select(
        F.col("left_key").alias(f"{KEY}_l"), F.col("right_key").alias(f"{KEY}_r")
    )


def joined(records: DataFrame, pairs: DataFrame, apart: DataFrame, *, rounds: int, say: linkage.Say) -> DataFrame:
    """(id, cluster_id) of all records: the least key of those that pairs connect.

    `pairs` (ends, strength) and `apart` (ends): where the first would join two of the second, the weakest give way.
    """
    ends = (F.col(f"{KEY}_l").alias("a"), F.col(f"{KEY}_r").alias("b"))
    edges = pairs.groupBy(*ends).agg(F.max("strength").alias("strength")).localCheckpoint()
    labels = _settled(edges, rounds=rounds)
    groups = labels.select("node", F.col("label.own_person_id").alias("group"))
    gone = linkage.untangled(edges, apart.select(*ends), groups, spared=RULED)
    if gone is not None:
        say(f"link: {gone.count():,} pairs left out that would join records which a veto keeps apart")
        labels = _settled(edges.join(gone, on=["a", "b"], how="left_anti").localCheckpoint(), rounds=rounds)
    found = labels.select(F.col("node").alias(KEY), F.col("label.own_person_id").alias("found"))
    return records.select(KEY).join(found, on=KEY, how="left").select(
        KEY, F.coalesce("found", KEY).alias("cluster_id")
    )


def _settled(edges: DataFrame, *, rounds: int) -> DataFrame:
    """(node, label): labelled with the least key of the group."""
    one_way = edges.select("a", "b")
    both = one_way.unionByName(one_way.select(F.col("b").alias("a"), F.col("a").alias("b"))).localCheckpoint()
    label = F.struct(F.lit(0).alias("registered_batch"), F.col("a").alias("own_person_id"))
    first = both.select(F.col("a").alias("node"), label.alias("label")).distinct().localCheckpoint()
    return linkage.settled(first, both, rounds=rounds)
