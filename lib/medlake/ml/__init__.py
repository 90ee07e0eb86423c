"""Estimators and models for Spark, in the manner of pyspark.ml: params, fit, transform, save, load. A registry only."""

from medlake.ml.birch import Birch, BirchModel
from medlake.ml.dbscan import DBSCAN, DBSCANModel
from medlake.ml.grouping import grouping
from medlake.ml.itemsets import FrequentItemsets, FrequentItemsetsModel
from medlake.ml.k_distance import k_distances, suggested_eps
from medlake.ml.kmeans import KMeans, KMeansModel
from medlake.ml.mixed import MixedEncoder, MixedEncoderModel
from medlake.ml.rules import AssociationRules, AssociationRulesModel
from medlake.ml.sequences import SequencePatterns, SequencePatternsModel

__all__ = [
    "DBSCAN",
    "AssociationRules",
    "AssociationRulesModel",
    "Birch",
    "BirchModel",
    "DBSCANModel",
    "FrequentItemsets",
    "FrequentItemsetsModel",
    "KMeans",
    "KMeansModel",
    "MixedEncoder",
    "MixedEncoderModel",
    "SequencePatterns",
    "SequencePatternsModel",
    "grouping",
    "k_distances",
    "suggested_eps",
]
