"""A model card: what a model is, how good it is and its limits (Mitchell 2019, TRIPOD+AI)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NAMES = {
    "auroc": "Area under the ROC curve",
    "auprc": "Average precision",
    "accuracy": "Accuracy at a risk of one half",
    "brier": "Brier score",
    "calibration_slope": "Calibration slope (1 is best)",
    "calibration_intercept": "Calibration intercept (0 is best)",
}
Figures = Mapping[str, tuple[float | None, float | None, float | None]]


def model_card(
    *, task: str, about: str, label_about: str, model: str, model_about: str, params: Mapping[str, float],
    horizon_days: int, n_rows: int, n_positive: int, n_folds: int, seed: int, figures: Figures,
    top_features: Sequence[tuple[str, float]], kind: str, must_not_be_used_for: str,
    tables: Mapping[str, int], code_version: str,
) -> str:  # fmt: skip
    """The card as Markdown. figures: metric → (value, lower, upper)."""
    settings = ", ".join(f"{name} = {value:g}" for name, value in params.items())
    measured = [
        f"| {NAMES.get(metric, metric)} | {_number(value)} | {_number(lower)} to {_number(upper)} |"
        for metric, (value, lower, upper) in figures.items()
    ]
    weighed = "; ".join(f"{name} ({weight:+.3f})" for name, weight in top_features)
    read = ", ".join(f"{name}@{version}" for name, version in sorted(tables.items()))
    return "\n".join(
        [
            f"# {task}: {model}", "", about, "",
            f"- Outcome: {label_about}. Horizon: {horizon_days} days.",
            f"- Method: {model_about} ({settings}). Inputs standardised, missing ones at the mean.",
            f"- Trained on {n_rows} patients' index times, {n_positive} with the outcome; seed {seed}.",
            f"- Measured by {n_folds}-fold cross-validation by patient; 95 % patient bootstrap intervals.",
            "", "| figure | value | interval |", "|---|---|---|", *measured, "",
            f"Features with the largest {kind}: {weighed}.", "",
            "## Must not be used for", "", must_not_be_used_for, "",
            "## Where it comes from", "",
            f"Code {code_version}; tables {read}.", "",
        ]
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
