"""MLflow: one experiment per task, one run per model and night; SQLite and files under LAKE/mlflow.

No autologging, no pickle (Spark's own format only), no telemetry. Nothing logged holds a patient's value.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class ModelRun:
    """What is known of a model when it is trained.

    tables: name → version read. features: name of each entry of the input array, in order.
    """

    task: str
    model: str
    digest: str
    fitted: PipelineModel
    features: Sequence[str]
    params: Mapping[str, float]
    seed: int
    night_id: int
    code_version: str
    tables: Mapping[str, int]


@dataclass(frozen=True)
class Logged:
    """Where MLflow keeps a run and its model."""

    run_id: str
    model_uri: str


class Tracking:
    """The MLflow store of one lake."""

    def __init__(self, root: Path) -> None:
        os.environ.update(QUIET)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # pip is no requirement of a model
        import mlflow  # after the environment says that nothing is to be sent

        self.root, self._mlflow = root, mlflow
        (root / "artifacts").mkdir(parents=True, exist_ok=True)
        self.uri = f"sqlite:///{root / 'mlflow.db'}"
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        self._client = mlflow.MlflowClient(self.uri, self.uri)

    def log_model(self, run: ModelRun) -> Logged:
        """A run with parameters, the table versions read and the model with its signature."""
        tags = {
            "medlake.night": str(run.night_id),
            "medlake.code_version": run.code_version,
            "medlake.model_digest": run.digest,
            **{f"delta.{name}": str(number) for name, number in run.tables.items()},
        }
        params = {**run.params, "seed": run.seed, "model": run.model, "n_features": len(run.features)}
        with self._run(run.task, f"{run.model}-night{run.night_id}", tags) as run_id:
            self._mlflow.log_params(params)
            self._mlflow.log_dict({"features": list(run.features)}, "features.json")
            return Logged(run_id, self._save(run))

    def log_evaluation(self, run_id: str, metrics: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Adds metrics, and files by name (model card, plots), to a run."""
        from mlflow.entities import Metric

        self._client.log_batch(run_id, metrics=[Metric(n, v, 0, 0) for n, v in metrics.items()])
        for name, text in texts.items():
            self._client.log_text(run_id, text, name)

    def load(self, model_uri: str) -> PipelineModel:
        """A logged model.

        Raises:
            mlflow.exceptions.MlflowException: there is no such model.
        """
        from pyspark.ml import PipelineModel

        folder = Path(self._mlflow.artifacts.download_artifacts(model_uri, tracking_uri=self.uri))
        return PipelineModel.load((folder / "sparkml").as_uri())

    def _save(self, run: ModelRun) -> str:
        import mlflow.spark
        from mlflow.models import ModelSignature
        from mlflow.types.schema import Array, ColSpec, DataType, Schema

        scratch = self.root / "tmp" / run.digest
        signature = ModelSignature(
            inputs=Schema([ColSpec(Array(DataType.double), "features")]),
            outputs=Schema([ColSpec(DataType.double, "prediction")]),
        )
        try:
            saved = mlflow.spark.log_model(
                run.fitted,
                artifact_path="model",
                dfs_tmpdir=scratch.as_uri(),
                signature=signature,
                # Stated: to have them inferred takes half a minute a model.
                pip_requirements=[f"pyspark=={version('pyspark')}", f"mlflow=={version('mlflow')}"],
                metadata={"model_digest": run.digest, "features": list(run.features)},
            )
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            with suppress(OSError):  # another model is being saved
                scratch.parent.rmdir()
        # An average patient, made up: standardised, every input of it is near 0.
        self._mlflow.log_dict({"features": [[0.0] * len(run.features)]}, "input_example.json")
        return str(saved.model_uri)

    @contextmanager
    def _run(self, task: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        experiment = self._client.get_experiment_by_name(task)
        location = (self.root / "artifacts" / task).as_uri()
        experiment_id: Any = (
            experiment.experiment_id if experiment else self._client.create_experiment(task, location)
        )
        with self._mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=dict(tags)) as active:
            yield str(active.info.run_id)
