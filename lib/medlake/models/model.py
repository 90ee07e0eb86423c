"""What every model module exports: one `MODEL`, able to build, explain and identify itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.base import Estimator, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError
from medlake.models.preparation import Preparation

LABEL = "label"  # double 0 or 1
CLASS_WEIGHT = "class_weight"  # double; makes both outcomes weigh the same in a fit
RISK_DECIMALS = 6  # a model has at most 1,000,001 different risks, however many patients
_NUMBER = re.compile(r"-?\d+\.\d+(?:[eE][-+]?\d+)?")
_UID = re.compile(r"uid=\w+|\w+_[0-9a-f]{12}")

Params_ = Mapping[str, float]
Stage = Estimator[Any] | Transformer


@dataclass(frozen=True)
class Model:
    """One estimator of the risk of an outcome.

    stages: (params, seed, n_rows) → the stages after `Preparation`; the last one gives `probability`.
    weights: the fitted stages → one number per feature. kind "coefficient": change of the log-odds for one
    standard deviation; "importance": share of the impurity removed, sums to 1.
    parameters: the fitted stages → text that holds every number that decides a risk.
    """

    name: str
    about: str
    params: Params_
    kind: str
    stages: Callable[[Params_, int, int], list[Stage]]
    weights: Callable[[Sequence[Transformer]], list[float]]
    parameters: Callable[[Sequence[Transformer]], str]

    def with_params(self, params: Params_) -> Params_:
        """The default parameters with a task's own laid over them.

        Raises:
            ConfigError: the model has no such parameter.
        """
        unknown = sorted(set(params) - set(self.params))
        if unknown:
            raise ConfigError(
                f"model {self.name} has the parameters {', '.join(self.params)}, not {', '.join(unknown)}"
            )
        return MappingProxyType({**self.params, **params})

    def build(self, n_features: int, seed: int, *, n_rows: int, params: Params_ | None = None) -> Pipeline:
        """The whole pipeline, unfitted: imputation and standardisation learned on the rows it is fitted to.

        Input columns: features array<double> with `n_features` entries, label, class_weight.
        n_rows: rows it will be fitted to; penalties are given per row.
        """
        stages = self.stages(self.with_params(params or {}), seed, n_rows)
        return Pipeline(stages=[Preparation(n_features), *stages])

    def digest(self, fitted: PipelineModel) -> str:
        """sha256 of all parameters, numbers rounded to 9 significant digits: same model, same digest."""
        prepared = [s.getStatement() for s in fitted.stages if isinstance(s, SQLTransformer)]
        text = "\n".join([self.name, *[str(p) for p in prepared], self.parameters(fitted.stages)])
        return hashlib.sha256(rounded_numbers(_UID.sub("", text)).encode()).hexdigest()


def rounded_numbers(text: str) -> str:
    """The text with every decimal number written with 9 significant digits."""
    return _NUMBER.sub(lambda number: f"{float(number.group()):.9g}", text)


def risk() -> Column:
    """The probability of the outcome from a fitted pipeline's `probability`, six decimals."""
    return F.round(vector_to_array(F.col("probability"))[1], RISK_DECIMALS)


def as_training_rows(cases: DataFrame) -> DataFrame:
    """Adds `label` and `class_weight`: rows / (2 · rows of the same outcome)."""
    n = cases.agg(F.count(F.lit(1)).alias("n"), F.count_if("boolean_value").alias("n_positive"))
    positive = F.col("boolean_value")
    alike = F.when(positive, F.col("n_positive")).otherwise(F.col("n") - F.col("n_positive"))
    return (
        cases.crossJoin(F.broadcast(n))
        .withColumns({LABEL: positive.cast("double"), CLASS_WEIGHT: F.col("n") / (2 * alike)})
        .drop("n", "n_positive")
    )
