"""Where things are and what is fixed: the only constants that several generator modules share."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "samples"
CACHE = REPOSITORY / ".cache"
SEED = 20260630
END_ON = "20260630"  # Synthea's reference and end date: nothing in the samples happens later
