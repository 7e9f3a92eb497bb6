"""Spark jobs beside Beam's: they need pyspark and delta-spark, and nothing else of Isopach."""
