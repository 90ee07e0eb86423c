"""Preparation of columns for mining and models, in the manner of pyspark.ml. Fit it to training rows only. A registry.

Missing values, outliers, scales, categories, selection; `stages` makes a Pipeline of a declaration per column.
"""

from medlake.prepare.binner import Binner, BinnerModel
from medlake.prepare.carried import LastObservation
from medlake.prepare.declared import stages
from medlake.prepare.encoders import OneHotEncoder, OneHotEncoderModel, OrdinalEncoder, OrdinalEncoderModel
from medlake.prepare.fences import Outliers, OutliersModel
from medlake.prepare.imputer import Imputer, ImputerModel
from medlake.prepare.indicator import MissingIndicator, MissingIndicatorModel
from medlake.prepare.isolation import IsolationForest, IsolationForestModel
from medlake.prepare.iterative import IterativeImputer, IterativeImputerModel
from medlake.prepare.knn import KNNImputer, KNNImputerModel
from medlake.prepare.mcar import Mcar, mcar
from medlake.prepare.pattern import missing_by_column, missing_by_group, missing_patterns
from medlake.prepare.scalers import LogTransformer, MinMaxScaler, RobustScaler, ScalerModel, StandardScaler
from medlake.prepare.selector import Score, Selector, SelectorModel
from medlake.prepare.series import HampelFilter, MovingMedian

__all__ = [
    "Binner",
    "BinnerModel",
    "HampelFilter",
    "Imputer",
    "ImputerModel",
    "IsolationForest",
    "IsolationForestModel",
    "IterativeImputer",
    "IterativeImputerModel",
    "KNNImputer",
    "KNNImputerModel",
    "LastObservation",
    "LogTransformer",
    "Mcar",
    "MinMaxScaler",
    "MissingIndicator",
    "MissingIndicatorModel",
    "MovingMedian",
    "OneHotEncoder",
    "OneHotEncoderModel",
    "OrdinalEncoder",
    "OrdinalEncoderModel",
    "Outliers",
    "OutliersModel",
    "RobustScaler",
    "ScalerModel",
    "Score",
    "Selector",
    "SelectorModel",
    "StandardScaler",
    "mcar",
    "missing_by_column",
    "missing_by_group",
    "missing_patterns",
    "stages",
]
