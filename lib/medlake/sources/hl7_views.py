"""bronze.hl7_message → the views that the mappings read: who and what is current by the newest message.

Newest is by MSH-7, then by control id, then by when it came in; a message that comes late never overwrites. Keys that
a merge (A40 and its like) gave up count as the key they became.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.grammar.origin import stands
from medlake.sources.hl7_message import MERGES

MERGE_ROUNDS = 3  # a chain of up to 2^3 merges ends at its last key
DELETE_PERSON, NOT_YET, CANCELLED, DISCHARGE_CANCELLED = "A29", ("A05", "A14"), ("A11", "A23", "A27", "A38"), "A13"
WITHDRAWN = ("D", "W")  # OBX-11: deleted, wrong (posted to another patient)
NO_RESULT = (*WITHDRAWN, "X", "I", "N", "O")  # cannot be had, pending, not asked, order only
TEXT_TYPES = ("TX", "FT")
DOCUMENT_GONE = ("CA", "OB", "UN")  # TXA-19: cancelled, obsolete, unavailable


def hl7_views(told: DataFrame, merged: DataFrame) -> dict[str, DataFrame]:
    """PID: the persons. PV1: the visits. DG1: the diagnoses. OBX: the results. OBR: reports in words. TXA: documents.

    `told`: the messages of one source (see `segments`). `merged`: their merges, which each view reads (`merged_keys`).
    Every view has `person_source_value`, `visit_source_value`, `trigger_event`, `event_at` and the fields of its
    segment; what it stands under is in the structs PID, PV1 and OBR.
    """
    known = with_survivors(told, merged)
    return {
        "PID": persons(of_kind(known, "PID")),
        "PV1": visits(of_kind(known, "PV1")),
        "DG1": diagnoses(of_kind(known, "DG1")),
        "OBX": results(of_kind(known, "OBX")),
        "OBR": reports(of_kind(known, "OBR")),
        "TXA": documents(of_kind(known, "TXA")),
    }


def segments(messages: DataFrame, shapes: Mapping[str, str]) -> DataFrame:
    """One row per message: its segments typed by the shapes, and `newness`, by which messages are ordered.

    `shapes`: segment → its fields as DDL.
    """
    fields = ", ".join(f"{kind}: struct<{ddl.strip()}>" for kind, ddl in sorted(shapes.items()))
    places = "segment: string, place: int, key: string, of_pid: int, of_pv1: int, of_obr: int"
    number = F.try_to_number("control_id", F.lit("999999999999999999"))
    newness = F.struct("event_at", number.alias("number"), "control_id", "batch", "file", "row", "file_sha256")
    shaped = F.from_json("segments", f"array<struct<{places}, {fields}>>")
    # `inline` is a generator: the text is parsed once a message, not once for every field that is named
    return messages.select(
        stands(), "message_type", "trigger_event", "event_at", newness.alias("newness"),
        F.inline(F.array(F.struct(shaped.alias("all")))),
    )  # fmt: skip


def merged_keys(told: DataFrame) -> DataFrame:
    """(old, new): the keys that merges gave up, one row each, and the key that each became in the end.

    A merge is void once its old key comes back as the survivor of a later one; so there are no circles.
    """
    merges = told.where(F.col("trigger_event").isin(list(MERGES)))
    merge = merges.select("newness", "all", F.explode("all").alias("it"))
    pairs = merge.where("it.segment = 'MRG' AND it.key IS NOT NULL").select(
        F.col("it.key").alias("old"), F.get("all", F.col("it.of_pid"))["key"].alias("new"), "newness"
    ).where("old <> new")  # fmt: skip
    back = pairs.groupBy(F.col("new").alias("old")).agg(F.max("newness").alias("back"))
    last = pairs.groupBy("old").agg(F.max_by("new", "newness").alias("new"), F.max("newness").alias("newness"))
    valid = last.join(back, on="old", how="left").where("back IS NULL OR back < newness").select("old", "new")
    for _ in range(MERGE_ROUNDS):
        further = valid.select(F.col("old").alias("new"), F.col("new").alias("further"))
        valid = valid.join(further, on="new", how="left").select("old", F.coalesce("further", "new").alias("new"))
    return valid


def with_survivors(told: DataFrame, merged: DataFrame) -> DataFrame:
    """Adds `survivors`: map of those keys in the message that merges gave up → the key they became."""
    named = F.array_distinct(F.transform("all", lambda s: s["key"]))
    keys = told.select("_record", F.explode(named).alias("old")).where("old IS NOT NULL")
    met = keys.distinct().join(merged, on="old", how="inner")  # a file may have been read twice
    pair = F.collect_list(F.struct("old", "new"))
    by_message = met.groupBy("_record").agg(F.map_from_entries(pair).alias("survivors"))
    return told.join(by_message, on="_record", how="left")


def of_kind(known: DataFrame, kind: str) -> DataFrame:
    """One row per segment of a kind: its fields, and whom and what it belongs to."""
    pid, pv1, obr = (F.get("all", F.col(f"it.of_{name}")) for name in ("pid", "pv1", "obr"))
    person = F.coalesce(F.try_element_at("survivors", pid["key"]), pid["key"])
    evn = F.get(F.filter("all", lambda s: s["segment"] == "EVN"), 0)["EVN"]
    told = known.withColumn("it", F.explode("all")).where(F.col("it.segment") == kind).where(pid["key"].isNotNull())
    above = {"PID": pid["PID"], "PV1": pv1["PV1"], "OBR": obr["OBR"]}
    has_document = F.exists("all", lambda s: s["segment"] == "TXA")
    return told.select(
        "_record", "message_type", "trigger_event", F.col("event_at").cast("string").alias("event_at"), "newness",
        F.col("it.place").alias("place"), person.alias("person_source_value"),
        F.get(pv1["PV1"]["f19"], 0)["c1"].alias("visit_source_value"),
        F.coalesce(_moment(evn["f6"]), _moment(evn["f2"]), F.col("event_at").cast("string")).alias("happened_at"),
        has_document.alias("has_document"), text_lines(kind).alias("lines"),
        *[value.alias(name) for name, value in above.items() if name != kind], F.col(f"it.{kind}.*"),
    )  # fmt: skip


def text_lines(kind: str) -> Column:
    """The texts of the OBX under an OBR, or of a document's message, in order; withdrawn ones left out."""
    if kind not in ("OBR", "TXA"):
        return F.lit(None).cast("array<string>")
    types = (*TEXT_TYPES, "ST") if kind == "TXA" else TEXT_TYPES
    obr = F.col("it.place") if kind == "OBR" else F.lit(None).cast("int")
    of_order = (lambda s: s["of_obr"] == obr) if kind == "OBR" else (lambda s: F.lit(True))
    texts = F.filter(
        "all",
        lambda s: (s["segment"] == "OBX") & of_order(s) & _code(s["OBX"]["f2"]).isin(list(types))
        & ~F.coalesce(_code(s["OBX"]["f11"]), F.lit("")).isin(list(NO_RESULT)),
    )  # fmt: skip
    words = F.transform(texts, lambda s: F.transform(s["OBX"]["f5"], lambda r: F.coalesce(r["c1"], F.lit(""))))
    return F.flatten(F.filter(words, lambda w: w.isNotNull()))


def persons(pid: DataFrame) -> DataFrame:
    """The PID of each person's newest ADT (of any message where there is none); none where A29 deleted the person."""
    is_adt = F.col("message_type") == "ADT"
    newest = pid.withColumn("rank", F.struct(is_adt, "newness", "place"))
    last = Window.partitionBy("person_source_value").orderBy(F.desc("rank"))
    kept = newest.withColumn("nth", F.row_number().over(last)).where("nth = 1").drop("rank", "nth")
    return kept.where(F.col("trigger_event") != DELETE_PERSON)


def visits(pv1: DataFrame) -> DataFrame:
    """One row per visit that took place: its newest PV1 with `started_at` and `ended_at` from all its messages.

    Only ADT tell of visits. A visit whose newest message cancels or deletes it (A11, A23, A27, A38) or only announces
    it (A05, A14) is none; A13 takes the discharge back.
    """
    adt = pv1.where("message_type = 'ADT' AND visit_source_value IS NOT NULL")
    whole = Window.partitionBy("person_source_value", "visit_source_value")
    last = whole.orderBy(F.desc("newness"), F.desc("place"))
    admitted = F.coalesce(_moment(F.col("f44")), _code(F.col("f44")))
    registered = F.when(F.col("trigger_event").isin("A01", "A04"), F.col("happened_at"))
    discharged = F.when(F.col("trigger_event") == "A03", F.col("happened_at"))
    left = F.coalesce(_moment(F.col("f45")), _code(F.col("f45")), discharged)
    taken_back = F.col("trigger_event") == DISCHARGE_CANCELLED
    end = F.struct(F.when(~taken_back, left).alias("at"))
    said_end = F.when(taken_back | left.isNotNull(), F.col("newness"))
    return adt.withColumns({
        "started_at": F.coalesce(
            F.max_by(admitted, F.when(admitted.isNotNull(), F.col("newness"))).over(whole),
            F.min_by(registered, F.when(registered.isNotNull(), F.col("newness"))).over(whole),
        ),
        "ended_at": F.max_by(end, said_end).over(whole)["at"],
        "nth": F.row_number().over(last),
    }).where("nth = 1").where(~F.col("trigger_event").isin(*CANCELLED, *NOT_YET)).drop("nth")  # fmt: skip


def diagnoses(dg1: DataFrame) -> DataFrame:
    """The newest word on each diagnosis of a visit (its code and type, DG1-3 and DG1-6); DG1-21 = D takes it back."""
    named = F.coalesce(code_of(F.col("f3")), _code(F.col("f4")))
    coded = dg1.withColumns({"code": named, "kind": _code(F.col("f6"))})
    newest = of_newest_message(coded, ["person_source_value", "visit_source_value", "code", "kind"])
    return newest.where(F.coalesce(_code(F.col("f21")), F.lit("")) != "D").drop("code", "kind")


def results(obx: DataFrame) -> DataFrame:
    """The newest word on each result, `result_id` names it; corrected ones are replaced, withdrawn ones are gone.

    A result is told by its order, code, sub-id and time (OBX-14). A D or W without a time meets all times. Texts are
    left to `reports` and `documents`.
    """
    name = {
        "order_id": order_id(), "code": code_of(F.col("f3")), "sub_id": _code(F.col("f4")), "at": _code(F.col("f14")),
    }  # fmt: skip
    named = obx.withColumns({**name, "status": F.coalesce(_code(F.col("f11")), F.lit(""))})
    any_time = Window.partitionBy("person_source_value", "order_id", "code", "sub_id")
    takes_back = F.col("status").isin(*WITHDRAWN) & F.col("at").isNull()
    gone = F.max(F.when(takes_back, F.col("newness"))).over(any_time)
    newest = of_newest_message(
        named.withColumn("gone", gone), ["person_source_value", "order_id", "code", "sub_id", "at"]
    )
    is_text = _code(F.col("f2")).isin(*TEXT_TYPES)
    in_document = F.col("has_document") & _code(F.col("f2")).isin(*TEXT_TYPES, "ST")
    kept = newest.where(
        ~F.col("status").isin(*NO_RESULT) & (F.col("gone").isNull() | (F.col("gone") <= F.col("newness")))
        & ~F.coalesce(in_document | (is_text & F.col("OBR").isNotNull()), F.lit(False))
    )  # fmt: skip
    where = F.to_json(F.struct("order_id", "code", "sub_id", "at", "nth"))
    return kept.withColumn("result_id", F.concat_ws("#", F.lit("OBX"), where)).drop(*name, "status", "gone", "nth")


def reports(obr: DataFrame) -> DataFrame:
    """The newest version of each report in words: an OBR with `lines`; `report_id` names it."""
    with_words = obr.withColumn("OBR", F.struct("f2", "f3", "f4", "f7")).where(
        (F.size("lines") > 0) & ~F.col("has_document")
    )
    named = with_words.withColumn("order_id", order_id())
    newest = of_newest_message(named, ["person_source_value", "order_id"])
    where = F.to_json(F.struct("order_id", "nth"))
    return newest.where(F.coalesce(_code(F.col("f25")), F.lit("")) != "X").withColumn(
        "report_id", F.concat_ws("#", F.lit("OBR"), where)
    ).drop("order_id", "nth")  # fmt: skip


def documents(txa: DataFrame) -> DataFrame:
    """The newest text of each document (TXA-12); none where it was cancelled (T11, TXA-19) or replaced (TXA-13)."""
    named = txa.withColumns({"document_id": _number(F.col("f12")), "has_text": F.size("lines") > 0})
    whole = Window.partitionBy("person_source_value", "document_id")
    ended = (F.col("trigger_event") == "T11") | F.coalesce(_code(F.col("f19")).isin(*DOCUMENT_GONE), F.lit(False))
    parent = F.when(F.col("trigger_event").isin("T09", "T10"), _number(F.col("f13")))
    parents = named.select("person_source_value", parent.alias("document_id"))
    replaced = parents.where("document_id IS NOT NULL").distinct()
    told = named.withColumn("ended", F.max_by(ended, "newness").over(whole)).where("NOT ended AND has_text")
    newest = of_newest_message(told, ["person_source_value", "document_id"])
    kept = newest.join(replaced, on=["person_source_value", "document_id"], how="left_anti")
    return kept.drop("nth", "ended", "has_text")


def of_newest_message(rows: DataFrame, name: Sequence[str]) -> DataFrame:
    """Of each name the rows of the newest message that has it, all of them; `nth` counts them from 1."""
    by_name = Window.partitionBy(*name)
    newest = rows.withColumn("newest", F.max("newness").over(by_name)).where("newness = newest").drop("newest")
    return newest.withColumn("nth", F.row_number().over(by_name.orderBy("place")))


def order_id() -> Column:
    """What names the order of a result: the filler's number, else the placer's, else service and time."""
    obr = F.col("OBR")
    own = F.concat_ws("@", code_of(obr["f4"]), _code(obr["f7"]))
    return F.coalesce(_code(obr["f3"]), _code(obr["f2"]), F.nullif(own, F.lit("")))


def code_of(field: Column) -> Column:
    """A coded field's code: the identifier, the alternate identifier, else the text."""
    return F.coalesce(F.get(field, 0)["c1"], F.get(field, 0)["c4"], F.get(field, 0)["c2"])


def _code(field: Column) -> Column:
    return F.get(field, 0)["c1"]


def _number(field: Column) -> Column:
    return F.coalesce(F.get(field, 0)["c1"], F.get(field, 0)["c2"])


def _moment(field: Column) -> Column:
    return F.get(field, 0)["t1"]
