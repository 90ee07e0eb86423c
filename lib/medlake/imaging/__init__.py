"""Pixels: NumPy in, NumPy out; `measured.py` runs them over DataFrames."""
