"""One picture of a model: ROC, precision-recall and calibration, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]


def performance_svg(title: str, *, roc: Points, pr: Points, calibration: Points, prevalence: float) -> str:
    """Three panels side by side; the dashed lines are those of chance, and of perfect calibration."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, 3)
    texts = (
        ("ROC", "1 - specificity", "sensitivity"),
        ("Precision and recall", "recall", "precision"),
        ("Calibration", "predicted risk", "observed share"),
    )
    for panel, points, (name, x, y) in zip(panels, (roc, pr, calibration), texts, strict=True):
        flat = name.startswith("Precision")
        panel.plot([0, 1], [prevalence, prevalence] if flat else [0, 1], "--", color="0.6", linewidth=1)
        panel.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            "o-" if name == "Calibration" else "-",
            markersize=4,
        )
        panel.set(title=name, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
