"""What becomes of each column, said as data: a table of a TOML file becomes the stages of a Pipeline.

[column.creatinine]
range = [10, 2000]          # outside: no body has it
outliers = "iqr"            # range, robust_z, iqr; what to do: action = "flag" (default), "null", "clip"
action = "null"
missing = "median"          # ignore, drop, constant, mean, median, mode, knn, iterative
group = ["sex"]             # of mean, median, mode
indicator = true            # creatinine_missing
scale = "standard"          # standard, minmax, robust, log
[column.ward]
missing = "ignore"
encode = "onehot"           # ward_encoded; or ordinal, with levels = [...]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyspark.ml.base import Estimator, Transformer

from medlake.grammar.errors import ConfigError
from medlake.prepare.encoders import OneHotEncoder, OrdinalEncoder
from medlake.prepare.fences import ACTIONS, METHODS, Outliers
from medlake.prepare.imputer import STRATEGIES, Imputer
from medlake.prepare.indicator import MissingIndicator
from medlake.prepare.iterative import IterativeImputer
from medlake.prepare.knn import KNNImputer
from medlake.prepare.scalers import LogTransformer, MinMaxScaler, RobustScaler, StandardScaler

Stage = Estimator[Any] | Transformer
Said = Mapping[str, Any]
ENCODED = "_encoded"
SCALERS: dict[str, Callable[..., Stage]] = {
    "standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler, "log": LogTransformer,
}  # fmt: skip
WORDS: dict[str, tuple[str, ...]] = {
    "missing": (*STRATEGIES, "knn", "iterative"),
    "outliers": METHODS,
    "action": ACTIONS,
    "scale": tuple(SCALERS),
    "encode": ("onehot", "ordinal"),
}
OTHERS = ("group", "indicator", "fill", "range", "levels")


def stages(declared: Mapping[str, Said]) -> list[Stage]:
    """The stages of a Pipeline: outliers, indicators, imputers, scalers, encoders, columns of one kind in one stage.

    declared: what is said of each column, by name; a column of which nothing is said of a matter stays as it is in it.
    Fit the Pipeline to training rows only.

    Raises:
        ConfigError: a word that nothing is known of, a constant without `fill`, a range without `range`: all at once.
    """
    faults = [f"column.{name}: {fault}" for name, said in declared.items() for fault in _faults(said)]
    if faults:
        raise ConfigError("the preparation cannot be understood:\n" + "\n".join(f"  - {fault}" for fault in faults))
    return [*_outliers(declared), *_imputers(declared), *_transforms(declared)]


def _faults(said: Said) -> list[str]:
    known = (*WORDS, *OTHERS)
    faults = [f"{key} is not among {', '.join(known)}" for key in said if key not in known]
    faults += [
        f"{key} = {said[key]!r} is not among {', '.join(words)}"
        for key, words in WORDS.items()
        if key in said and said[key] not in words
    ]
    if said.get("missing") == "constant" and "fill" not in said:
        faults.append('missing = "constant" needs fill')
    if said.get("outliers") == "range" and len(said.get("range", ())) != 2:
        faults.append('outliers = "range" needs range = [lowest, highest]')
    if "group" in said and said.get("missing") not in ("mean", "median", "mode"):
        faults.append("group goes with missing = mean, median or mode")
    return faults


def _alike(declared: Mapping[str, Said], *keys: str) -> dict[tuple[Any, ...], list[str]]:
    """Columns by what is said of the keys, in the order declared; those without the first key are left out."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for name, said in declared.items():
        if keys[0] in said:
            told = tuple(tuple(v) if isinstance(v := said.get(k), list) else v for k in keys)
            found.setdefault(told, []).append(name)
    return found


def _outliers(declared: Mapping[str, Said]) -> list[Stage]:
    # A range and a rule of the data are two questions: what no body can have must not move the quartiles.
    ranged = {n: {**s, "outliers": "range"} for n, s in declared.items() if "range" in s}
    others = {n: s for n, s in declared.items() if s.get("outliers") not in (None, "range")}
    made: list[Stage] = []
    for part in (ranged, others):
        for (method, action), columns in _alike(part, "outliers", "action").items():
            ranges = {c: list(declared[c]["range"]) for c in columns} if method == "range" else {}
            made.append(Outliers(inputCols=columns, method=method, ranges=ranges, action=action or "flag"))
    return made


def _imputers(declared: Mapping[str, Said]) -> list[Stage]:
    told = [n for n, said in declared.items() if said.get("indicator")]
    made: list[Stage] = [MissingIndicator(inputCols=told, features="all")] if told else []
    for (strategy, group, fill), columns in _alike(declared, "missing", "group", "fill").items():
        if strategy == "ignore":
            continue
        if strategy == "knn":
            made.append(KNNImputer(inputCols=columns))
        elif strategy == "iterative":
            made.append(IterativeImputer(inputCols=columns))
        else:
            groups = list(group) if group else None
            made.append(Imputer(inputCols=columns, strategy=strategy, groupCols=groups, fillValue=fill))
    return made


def _transforms(declared: Mapping[str, Said]) -> list[Stage]:
    made = [SCALERS[scale](inputCols=columns) for (scale,), columns in _alike(declared, "scale").items()]
    for (kind,), columns in _alike(declared, "encode").items():
        outputs = [c + ENCODED for c in columns]
        if kind == "onehot":
            made.append(OneHotEncoder(inputCols=columns, outputCols=outputs))
        else:
            levels = {c: list(declared[c]["levels"]) for c in columns if "levels" in declared[c]}
            made.append(OrdinalEncoder(inputCols=columns, outputCols=outputs, levels=levels))
    return made
