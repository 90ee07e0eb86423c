"""Estimators for data that no one machine holds, with the manners of pyspark.ml: the registry."""

from medlake.ml.itemsets import FrequentItemsets, FrequentItemsetsModel
from medlake.ml.rules import AssociationRules, AssociationRulesModel
from medlake.ml.sequences import SequencePatterns, SequencePatternsModel

__all__ = [
    "AssociationRules",
    "AssociationRulesModel",
    "FrequentItemsets",
    "FrequentItemsetsModel",
    "SequencePatterns",
    "SequencePatternsModel",
]
