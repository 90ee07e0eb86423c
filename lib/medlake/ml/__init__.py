"""Estimators and models for Spark, in the manner of pyspark.ml: params, fit, transform, save, load. A registry only."""

from medlake.ml.birch import Birch, BirchModel
from medlake.ml.dbscan import DBSCAN, DBSCANModel
from medlake.ml.kmeans import KMeans, KMeansModel

__all__ = ["DBSCAN", "Birch", "BirchModel", "DBSCANModel", "KMeans", "KMeansModel"]
