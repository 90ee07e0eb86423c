"""Estimators and models for Spark, in the manner of pyspark.ml: params, fit, transform, save, load. A registry only."""

from medlake.ml.dbscan import DBSCAN, DBSCANModel

__all__ = ["DBSCAN", "DBSCANModel"]
