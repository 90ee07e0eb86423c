"""One lake for health records, notes and medical images on Spark and Delta Lake."""

__version__ = "0.1.0"
