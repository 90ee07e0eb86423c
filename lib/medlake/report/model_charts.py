"""Charts of models: curves, calibration, figures with intervals, reasons, subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from medlake.report import vocabulary, words
from medlake.report.charts import LETTERS, ROW, WIDTH
from medlake.report.content import Curve, Metric, Reason, Subgroup
from medlake.report.svg import BLUE, GREY, INK, MUTED, ORANGE, SERIES, TRACK, drawing, plot

SIDE = 370  # px: curves are square
Colors = Mapping[str, str]


def colors_of(models: Sequence[str]) -> dict[str, str]:
    """One colour per model, the same in every chart of a task."""
    known = list(vocabulary.MODELS)
    order = sorted(models, key=lambda model: (known.index(model) if model in known else len(known), model))
    return {model: SERIES[at % len(SERIES)] for at, model in enumerate(order)}


def roc(curves: Sequence[Curve], colors: Colors, best: str, *, alt: str) -> Markup:
    """Sick people found (up) against healthy people wrongly called sick (right)."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        _lines(axes, curves, colors, best)
        _names(axes, curves, colors, best, x=0.98, y=0.04, ha="right")
        _shares(axes, "False alarms among people without it", "Found among people with it")

    return plot(SIDE, SIDE, draw, alt=alt)


def precision_recall(curves: Sequence[Curve], colors: Colors, best: str, *, alt: str) -> Markup:
    """True among alarms (up) against sick people found (right)."""

    def draw(axes: Axes) -> None:
        _lines(axes, curves, colors, best)
        _names(axes, curves, colors, best, x=0.03, y=0.04, ha="left")
        _shares(axes, "Found among people with it", "Right among alarms")

    return plot(SIDE, SIDE, draw, alt=alt)


def calibration(curves: Sequence[Curve], colors: Colors, best: str, *, alt: str) -> Markup:
    """Observed share (up) against predicted risk (right); on the dashed line a model says what happens."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        for curve in _best_last(curves, best):
            xs, ys = zip(*curve.points, strict=True) if curve.points else ((), ())
            is_best = curve.model == best
            axes.plot(
                xs,
                ys,
                color=colors[curve.model],
                linewidth=2.4 if is_best else 1.2,
                marker="o",
                markersize=6 if is_best else 3.5,
                markeredgewidth=0,
                alpha=1 if is_best else 0.75,
                clip_on=False,
            )
        _names(axes, curves, colors, best, x=0.98, y=0.04, ha="right")
        _shares(axes, "Risk the model gave", "Share that had the outcome")

    return plot(SIDE, SIDE, draw, alt=alt)


def intervals(metrics: Sequence[Metric], colors: Colors, best: str, *, low: float, alt: str) -> Markup:
    """One figure per model as a dot with its interval, on a scale from `low` to 1."""
    pad = 8.0
    scale = (WIDTH - 2 * pad) / (1 - low)

    def draw(axes: Axes) -> None:
        for at, one in enumerate(metrics):
            y = at * ROW
            weight = "bold" if one.model == best else "normal"
            axes.text(0, y + 13, words.model(one.model), color=INK, fontweight=weight)
            axes.text(WIDTH, y + 13, words.with_interval(one), color=MUTED, ha="right")
            axes.plot([pad, WIDTH - pad], [y + 25] * 2, color=TRACK, linewidth=4, solid_capstyle="round")
            ends = [
                pad + (max(v, low) - low) * scale for v in (one.lower, one.value, one.upper) if v is not None
            ]
            color = colors[one.model]
            axes.plot([ends[0], ends[-1]], [y + 25] * 2, color=color, linewidth=4, alpha=0.45)
            middle = pad + (max(one.value, low) - low) * scale
            axes.plot([middle], [y + 25], marker="o", markersize=10, color=color, markeredgewidth=0)
        y = ROW * len(metrics) + 8
        for value, ha in ((low, "left"), ((1 + low) / 2, "center"), (1.0, "right")):
            x = {"left": 0.0, "center": WIDTH / 2, "right": float(WIDTH)}[ha]
            axes.text(x, y, f"{value:.3g}", color=MUTED, ha=ha, fontsize=12)

    return drawing(WIDTH, ROW * len(metrics) + 14, draw, alt=alt)


def reasons(weights: Sequence[Reason], *, alt: str) -> Markup:
    """What drives a model most: coefficients on both sides of a line, importances from the left."""
    signed = any(one.kind == "coefficient" for one in weights)
    reach = max((abs(one.weight) for one in weights), default=0) or 1
    middle = WIDTH / 2 if signed else 0.0
    scale = (WIDTH / 2 if signed else WIDTH) / reach

    def draw(axes: Axes) -> None:
        for at, one in enumerate(weights):
            y, length = at * ROW, max(1.0, abs(one.weight) * scale)
            text = words.weight(one)
            axes.text(
                0, y + 13, words.short(words.feature(one.feature), max(14, LETTERS - len(text))), color=INK
            )
            axes.text(WIDTH, y + 13, text, color=MUTED, ha="right")
            axes.plot([0, WIDTH], [y + 25] * 2, color=TRACK, linewidth=9, solid_capstyle="butt")
            ends = [middle, middle + length if one.weight > 0 or not signed else middle - length]
            color = ORANGE if one.weight > 0 and signed else BLUE
            axes.plot(ends, [y + 25] * 2, color=color, linewidth=9, solid_capstyle="butt")
            if signed:
                axes.plot([middle] * 2, [y + 18, y + 32], color=GREY, linewidth=1)

    return drawing(WIDTH, ROW * len(weights), draw, alt=alt)


def subgroups(
    levels: Sequence[Subgroup], overall: float | None, *, low: float, alt: str, small_count: int = 11
) -> Markup:
    """AUROC of one model in each subgroup, from `low` to 1; the upright mark is everybody (`overall`)."""
    pad = 8.0
    scale = (WIDTH - 2 * pad) / (1 - low)

    def draw(axes: Axes) -> None:
        for at, one in enumerate(levels):
            y = at * ROW
            n = words.people(one.n, one.n_mark, small_count=small_count)
            axes.text(0, y + 13, f"{words.subgroup(one)} · {n} people", color=INK)
            text = "too few to say" if one.auroc is None else f"{one.auroc:.2f}"
            axes.text(WIDTH, y + 13, text, color=MUTED, ha="right")
            axes.plot([pad, WIDTH - pad], [y + 25] * 2, color=TRACK, linewidth=4, solid_capstyle="round")
            if one.auroc is not None:
                x = pad + (max(one.auroc, low) - low) * scale
                axes.plot([x], [y + 25], marker="o", markersize=10, color=BLUE, markeredgewidth=0)
        bottom = ROW * len(levels)
        if overall is not None:
            x = pad + (max(overall, low) - low) * scale
            for at in range(len(levels)):
                axes.plot([x, x], [at * ROW + 19, at * ROW + 31], color=INK, linewidth=1.6)
            axes.text(
                x,
                bottom + 10,
                f"everybody {overall:.2f}",
                color=INK,
                fontsize=12,
                ha="right" if x > WIDTH - 70 else ("left" if x < 70 else "center"),
            )

    return drawing(WIDTH, ROW * len(levels) + 16, draw, alt=alt)


def _lines(axes: Axes, curves: Sequence[Curve], colors: Colors, best: str) -> None:
    for curve in _best_last(curves, best):
        xs, ys = zip(*curve.points, strict=True) if curve.points else ((), ())
        is_best = curve.model == best
        axes.plot(
            xs,
            ys,
            color=colors[curve.model],
            linewidth=2.6 if is_best else 1.3,
            alpha=1 if is_best else 0.75,
            clip_on=False,
        )


def _best_last(curves: Sequence[Curve], best: str) -> list[Curve]:
    return sorted(curves, key=lambda curve: (curve.model == best, curve.model))


def _names(
    axes: Axes, curves: Sequence[Curve], colors: Colors, best: str, *, x: float, y: float, ha: str
) -> None:
    """The models' names in their colours, stacked upwards from a corner that the curves leave free."""
    for at, curve in enumerate(reversed(curves)):
        axes.text(
            x,
            y + at * 0.065,
            words.model(curve.model),
            color=colors[curve.model],
            ha=ha,
            fontsize=12,
            fontweight="bold" if curve.model == best else "normal",
        )


def _shares(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x, ylabel=y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u00a0%"))
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(length=0, labelsize=12, pad=7)
    axes.grid(visible=True, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_fontsize(12)
    axes.yaxis.label.set_fontsize(12)
