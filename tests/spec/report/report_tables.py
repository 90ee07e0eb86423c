"""Text tables in, text tables out, for the report's specifications."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession


def parse(text: str) -> tuple[list[str], list[list[str]]]:
    """Header and cells of a table drawn with bars."""
    header, *lines = [
        [cell.strip() for cell in line.split("|")] for line in text.strip().splitlines() if line.strip()
    ]
    return header, lines


def rows(spark: SparkSession, schema: str, text: str) -> DataFrame:
    """A DataFrame of the DDL `schema` from a text table; `null` is null, `[a, b]` an array."""
    header, lines = parse(text)
    frame = spark.createDataFrame(
        [tuple(None if cell == "null" else cell for cell in line) for line in lines],
        ", ".join(f"`{name}` string" for name in header),
    )
    wanted = {field.name: field.dataType for field in spark.createDataFrame([], schema).schema}
    is_array = {name for name, kind in wanted.items() if kind.simpleString().startswith("array")}
    return frame.selectExpr(
        *(
            f"filter(split(trim(both '[]' from `{name}`), ', '), x -> x <> '') AS `{name}`"
            if name in is_array
            else f"CAST(`{name}` AS {kind.simpleString()}) AS `{name}`"
            for name, kind in wanted.items()
        )
    )


def shown(frame: DataFrame, *columns: str) -> list[tuple[str, ...]]:
    """The rows as sorted text."""
    return sorted(tuple(_text(row[name]) for name in columns) for row in frame.collect())


def expected(text: str) -> list[tuple[str, ...]]:
    """The rows of a text table, without its header, as sorted text."""
    return sorted(tuple(line) for line in parse(text)[1])


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(str(one) for one in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
