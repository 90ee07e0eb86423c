"""Saving and loading of models that hold facts (JSON) and tables (Parquet). Saving and loading run Spark jobs.

A folder as MLlib's own: `metadata/` with class, uid, parameters and facts, and one Parquet folder per table.
So a model works inside a PipelineModel and with `mlflow.spark.log_model`; no pickle anywhere.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

FACTS = "facts"


class KeepsTables(MLReadable[Any], MLWritable):
    """A model whose state is `_facts()`, plain JSON values, and `_tables()`, DataFrames by name.

    Its class can be made without arguments; `_restore` takes back what the other two gave.
    """

    @abstractmethod
    def _facts(self) -> dict[str, Any]: ...

    @abstractmethod
    def _tables(self) -> dict[str, DataFrame]: ...

    @abstractmethod
    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None: ...

    def write(self) -> MLWriter:
        """A writer: `model.write().overwrite().save(path)`; `model.save(path)` does not overwrite."""
        return TablesWriter(self)

    @classmethod
    def read(cls) -> MLReader[Any]:
        """A reader: `read().load(path)`, the same as `load(path)`."""
        return TablesReader()


class TablesWriter(MLWriter):
    """Writes metadata, then each table."""

    def __init__(self, instance: KeepsTables) -> None:
        super().__init__()
        self.instance = instance

    def saveImpl(self, path: str) -> None:
        tables = self.instance._tables()
        extra = {FACTS: self.instance._facts(), "tables": sorted(tables)}
        for name, table in tables.items():
            table.write.parquet(f"{path}/{name}")
        # Metadata last: a folder without them is a save that was cut short, and does not load.
        DefaultParamsWriter.saveMetadata(self.instance, path, self.sparkSession, extraMetadata=extra)  # type: ignore[arg-type]


class TablesReader(MLReader[Any]):
    """Reads what TablesWriter wrote; the class is the one that the metadata name."""

    def load(self, path: str) -> Any:
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        module, _, name = metadata["class"].rpartition(".")
        instance = getattr(__import__(module, fromlist=[name]), name)()
        instance._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(instance, metadata)
        tables = {table: self.sparkSession.read.parquet(f"{path}/{table}") for table in metadata["tables"]}
        instance._restore(metadata[FACTS], tables)
        return instance
