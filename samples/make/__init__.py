"""The generator of `samples/`: `python -m samples.make` rewrites every sample from seeds, byte for byte."""
