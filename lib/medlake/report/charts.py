"""Charts of people, records and steps: small Python values in, one SVG element out.

Rows of a chart carry their label above the bar, so that long names fit a telephone. Every chart has an `alt`
text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Rectangle

from medlake.report import words
from medlake.report.content import AgeSex, Difference, Group, YearCount
from medlake.report.geometry import ellipse_of
from medlake.report.svg import BLUE, GREEN, GREY, GRID, INK, MUTED, ORANGE, SERIES, TRACK, drawing

WIDTH = 400  # px: shrinks to 0.83 on a telephone of 390 px, where 13 px text is still 11 px
ROW = 40  # px: label and bar
BAR = 9  # px: thickness of a bar
MINIMUM_BAR = 2.5  # px: something is never drawn as nothing
HATCH = "/////"
LABEL = 100.0  # px: room for a label such as "≥ 75 % of these"
LETTERS = 50  # what fits on one line of WIDTH, in a wide font


@dataclass(frozen=True)
class Segment:
    """A stretch of a bar in the units of its chart."""

    start: float
    length: float
    color: str = BLUE


@dataclass(frozen=True)
class Row:
    """One labelled bar; without segments it is hatched: there is a number that is not shown."""

    label: str
    text: str
    segments: tuple[Segment, ...] | None


def rows(
    bars: Sequence[Row], *, alt: str, end: float | None = None, legend: Sequence[tuple[str, str]] = ()
) -> Markup:
    """Labelled horizontal bars from 0 to `end` (default: the longest); `legend`: (name, colour) pairs."""
    top = 26 if legend else 4
    longest = max((s.start + s.length for row in bars for s in row.segments or ()), default=0)
    scale = WIDTH / (end or longest or 1)

    def draw(axes: Axes) -> None:
        _legend(axes, legend)
        for at, row in enumerate(bars):
            y = top + at * ROW
            label = words.short(row.label, max(12, LETTERS - len(row.text)))
            axes.text(0, y + 13, label, color=INK)
            axes.text(WIDTH, y + 13, words.clean(row.text), color=MUTED, ha="right")
            _track(axes, 0, y + 20, WIDTH)
            if row.segments is None:
                _hatched(axes, 0, y + 20, WIDTH / 12)
            for segment in row.segments or ():
                if segment.length > 0:
                    length = max(MINIMUM_BAR, segment.length * scale)
                    x = min(segment.start * scale, WIDTH - length)
                    _bar(axes, x, y + 20, length, segment.color)

    return drawing(WIDTH, top + ROW * len(bars), draw, alt=alt)


def pyramid(cells: Sequence[AgeSex], *, alt: str, small_count: int = 11) -> Markup:
    """Women to the left, men to the right, one row per age band, oldest on top."""
    bands = list(dict.fromkeys(cell.band for cell in cells))[::-1]
    by = {(cell.band, cell.sex): cell for cell in cells}
    widest = max((cell.n or 0 for cell in cells), default=0) or 1
    gutter, row, arm = 76.0, 30, (WIDTH - 76) / 2 - 44
    left, right = (WIDTH - gutter) / 2, (WIDTH + gutter) / 2

    def draw(axes: Axes) -> None:
        axes.text(left, 14, "Women", color=BLUE, ha="right", fontweight="bold")
        axes.text(right, 14, "Men", color=ORANGE, fontweight="bold")
        for at, band in enumerate(bands):
            y = 28 + at * row
            axes.text(WIDTH / 2, y + 15, band, color=INK, ha="center")
            for sex, sign, origin, color in (("women", -1, left, BLUE), ("men", 1, right, ORANGE)):
                cell = by.get((band, sex))
                if cell is None:
                    continue
                length = max(MINIMUM_BAR, (cell.n or 0) / widest * arm) if cell.n else 22.0
                x = origin - length if sign < 0 else origin
                if cell.n is None:
                    _hatched(axes, x, y, length, 20)
                else:
                    axes.add_patch(Rectangle((x, y), length, 20, color=color, linewidth=0))
                text = words.people(cell.n, cell.n_mark, small_count=small_count)
                axes.text(
                    origin + sign * (length + 6),
                    y + 15,
                    text,
                    color=MUTED,
                    ha="right" if sign < 0 else "left",
                )

    return drawing(WIDTH, 34 + row * len(bands), draw, alt=alt)


def years(counts: Sequence[YearCount], *, alt: str) -> Markup:
    """One small strip per kind of record over the years, each on its own scale, its total beside it."""
    kinds = list(dict.fromkeys(one.kind for one in counts))
    first, last = min(one.year for one in counts), max(one.year for one in counts)
    span = max(1, last - first + 1)
    row, area = 62, 34

    def draw(axes: Axes) -> None:
        for at, kind in enumerate(kinds):
            of_kind = {one.year: one.n for one in counts if one.kind == kind}
            peak_year = max(of_kind, key=lambda year: (of_kind[year], -year))
            base, width = at * row + 18 + area, WIDTH / span
            axes.text(0, at * row + 13, words.table(kind), color=INK)
            text = f"{words.number(sum(of_kind.values()))} · most in {peak_year}"
            axes.text(WIDTH, at * row + 13, text, color=MUTED, ha="right")
            axes.plot([0, WIDTH], [base, base], color=GRID, linewidth=1)
            for year, n in sorted(of_kind.items()):
                height = max(1.0, area * n / of_kind[peak_year])
                axes.add_patch(
                    Rectangle(
                        ((year - first) * width, base - height), width * 0.86, height, color=BLUE, linewidth=0
                    )
                )
        _year_ticks(axes, first, last, row * len(kinds) + 6)

    return drawing(WIDTH, row * len(kinds) + 24, draw, alt=alt)


def _year_ticks(axes: Axes, first: int, last: int, y: float) -> None:
    span = last - first + 1
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if span / step <= 6)
    for year in range(first + -first % step, last + 1, step):
        x = (year - first + 0.43) * WIDTH / span
        axes.text(min(max(x, 16), WIDTH - 16), y + 12, str(year), color=MUTED, ha="center", fontsize=12)


def picture(groups: Sequence[Group], *, alt: str, small_count: int = 11) -> Markup:
    """Each group as an ellipse around its centre, in the plane in which people differ most."""
    height = 330
    ellipses = [ellipse_of(one) for one in groups]
    colors = [SERIES[(one.cluster - 1) % len(SERIES)] for one in groups]
    reach = [(e, max(e.width, e.height) * 1.0) for e in ellipses]
    low_x, high_x = min(e.x - r for e, r in reach), max(e.x + r for e, r in reach)
    low_y, high_y = min(e.y - r for e, r in reach), max(e.y + r for e, r in reach)
    scale = min((WIDTH - 20) / ((high_x - low_x) or 1), (height - 40) / ((high_y - low_y) or 1))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            WIDTH / 2 + (x - (low_x + high_x) / 2) * scale,
            (height - 24) / 2 - (y - (low_y + high_y) / 2) * scale,
        )

    def draw(axes: Axes) -> None:
        for spread, alpha in ((2.0, 0.14), (1.0, 0.3)):
            for e, color in zip(ellipses, colors, strict=True):
                axes.add_patch(
                    Ellipse(
                        place(e.x, e.y),
                        e.width * spread * scale,
                        e.height * spread * scale,
                        angle=-e.degrees,
                        color=color,
                        alpha=alpha,
                        linewidth=0,
                    )
                )
        for group, e in zip(groups, ellipses, strict=True):
            x, y = place(e.x, e.y)
            axes.text(x, y, str(group.cluster), color=INK, ha="center", fontsize=17, fontweight="bold")
            n = words.people(group.n, group.n_mark, small_count=small_count)
            axes.text(x, y + 16, f"{n} people", color=INK, ha="center", fontsize=12)
        axes.text(0, height - 6, "→ first direction of difference", color=MUTED, fontsize=12)
        axes.text(WIDTH, height - 6, "↑ second direction", color=MUTED, fontsize=12, ha="right")

    return drawing(WIDTH, height, draw, alt=alt)


def differences(features: Sequence[Difference], *, reach: float, alt: str, color: str = BLUE) -> Markup:
    """How a group differs, in standard deviations: less to the left of a middle line, more to the right."""
    middle, scale = WIDTH / 2, (WIDTH / 2 - 46) / (reach or 1)

    def draw(axes: Axes) -> None:
        for at, one in enumerate(features):
            y, value = at * ROW, round(one.effect_size, 1)
            text = words.compared(one)
            axes.text(
                0, y + 13, words.short(words.feature(one.feature), max(14, LETTERS - len(text))), color=INK
            )
            axes.text(WIDTH, y + 13, text, color=MUTED, ha="right")
            axes.plot([0, WIDTH], [y + 24.5] * 2, color=TRACK, linewidth=1, zorder=0)
            axes.plot([middle, middle], [y + 18, y + 31], color=GREY, linewidth=1)
            length = min(abs(value), reach) * scale
            _bar(axes, middle if value > 0 else middle - length, y + 20, max(length, 1), color)
            side = 1 if value > 0 else -1
            axes.text(
                middle + side * (length + 5),
                y + 29,
                words.signed(value),
                color=MUTED,
                fontsize=12,
                ha="left" if side > 0 else "right",
            )

    return drawing(WIDTH, ROW * len(features), draw, alt=alt)


def dumbbell(expected: float, confidence: float, *, is_bound: bool, alt: str) -> Markup:
    """One rule: the share in everybody (grey) and in those with the first thing (blue), from 0 to 100 %."""
    pad, y = 14.0, 12
    scale = WIDTH - 2 * pad

    def draw(axes: Axes) -> None:
        left, right = pad + expected * scale, pad + confidence * scale
        axes.plot([pad, WIDTH - pad], [y, y], color=TRACK, linewidth=4, solid_capstyle="round")
        axes.plot([left, right], [y, y], color=BLUE, linewidth=4, solid_capstyle="butt", alpha=0.45)
        axes.plot([left], [y], marker="o", markersize=10, color=GREY, markeredgewidth=0)
        axes.plot([right], [y], marker=">" if is_bound else "o", markersize=11, color=BLUE, markeredgewidth=0)
        of_all, of_these = f"{words.percent(expected)} of all", f"{words.percent(confidence)} of these"
        if right - left < LABEL:  # side by side around the middle, away from the edges
            middle = min(max((left + right) / 2, LABEL), WIDTH - LABEL - 20)
            places = [(middle - 6, "right"), (middle + 6, "left")]
        else:
            places = [(min(max(x, LABEL / 2), WIDTH - LABEL / 2), "center") for x in (left, right)]
        bold = f"{'≥ ' if is_bound else ''}{of_these}"
        axes.text(places[0][0], y + 22, of_all, color=MUTED, fontsize=12, ha=places[0][1])
        axes.text(places[1][0], y + 22, bold, color=BLUE, fontsize=12, fontweight="bold", ha=places[1][1])

    return drawing(WIDTH, 40, draw, alt=alt)


def _legend(axes: Axes, entries: Sequence[tuple[str, str]]) -> None:
    x = 0.0
    for name, color in entries:
        axes.add_patch(Rectangle((x, 5), 11, 11, color=color, linewidth=0))
        axes.text(x + 16, 15, name, color=MUTED, fontsize=12)
        x += 32 + 7.0 * len(name)


def _track(axes: Axes, x: float, y: float, length: float) -> None:
    axes.add_patch(Rectangle((x, y), length, BAR, color=TRACK, linewidth=0))


def _bar(axes: Axes, x: float, y: float, length: float, color: str) -> None:
    axes.add_patch(Rectangle((x, y), length, BAR, color=color, linewidth=0))


def _hatched(axes: Axes, x: float, y: float, length: float, height: float = BAR) -> None:
    axes.add_patch(
        Rectangle((x, y), length, height, facecolor="none", edgecolor=GREY, hatch=HATCH, linewidth=0.8)
    )


KEPT, MERGED, SET_ASIDE = BLUE, GREY, ORANGE  # the fates of records
INSERTED, UPDATED, DELETED = GREEN, BLUE, ORANGE  # what happened to rows
