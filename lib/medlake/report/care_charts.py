"""Charts of what goes together and what follows: an arc diagram and a flow diagram."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from medlake.report import words
from medlake.report.care import Care, Follow, Link
from medlake.report.charts import WIDTH
from medlake.report.svg import BLUE, GREEN, INK, MUTED, drawing

ROW = 26  # px: one name
NAMES = 236.0  # px: room for names left of the arcs
THIN, THICK = 1.2, 6.0  # px: the weakest and the strongest link
FLOW_HEIGHT, FLOW_EACH, GAP = 300.0, 70.0, 12.0  # px: all flows together, one at most, between two names
SIDE = 150.0  # px: room for names on either side of the flows


def network(care: Care) -> Markup | None:
    """Diagnoses as rows, linked by arcs where the same people have both; thicker: more than chance."""
    links = care.links
    if not links:
        return None
    names = ordered(links)
    at = {name: i for i, name in enumerate(names)}
    strongest = max(one.lift for one in links)

    def draw(axes: Axes) -> None:
        for name, i in at.items():
            axes.text(NAMES - 8, i * ROW + 17, words.short(words.plain(name), 34), color=INK, ha="right")
            axes.plot([NAMES], [i * ROW + 13], marker="o", markersize=6, color=BLUE, markeredgewidth=0)
        for one in links:
            low, high = sorted((at[one.first] * ROW + 13.0, at[one.second] * ROW + 13.0))
            reach = (WIDTH - NAMES - 6) * (0.25 + 0.75 * (high - low) / max(ROW, (len(names) - 1) * ROW))
            bend = NAMES + reach * 4 / 3  # a cubic Bézier curve reaches three quarters of the way
            path = Path(
                [(NAMES, low), (bend, low), (bend, high), (NAMES, high)],
                [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
            )
            width = THIN + (THICK - THIN) * (one.lift - 1) / max(strongest - 1, 0.1)
            axes.add_patch(PathPatch(path, facecolor="none", edgecolor=BLUE, linewidth=width, alpha=0.45))

    alt = "Diagnoses of the same people. " + "; ".join(link(one) for one in links)
    return drawing(WIDTH, ROW * len(names) + 4, draw, alt=words.clean(alt))


def ordered(links: Sequence[Link]) -> list[str]:
    """The names, so that linked ones stand close: each next one has most links to those already placed."""
    neighbours: dict[str, set[str]] = {}
    for one in links:
        neighbours.setdefault(one.first, set()).add(one.second)
        neighbours.setdefault(one.second, set()).add(one.first)
    placed: list[str] = []
    while len(placed) < len(neighbours):
        last = {name: at for at, name in enumerate(placed)}
        waiting = [name for name in neighbours if name not in last]
        placed.append(
            min(
                waiting,
                key=lambda name: (
                    -sum(other in last for other in neighbours[name]),
                    -max((last.get(other, -1) for other in neighbours[name]), default=-1),
                    -len(neighbours[name]),
                    name,
                ),
            )
        )
    return placed


def flows(care: Care, *, small_count: int) -> Markup | None:
    """What came first on the left, what came after on the right; the thicker, the more people."""
    follows = care.follows
    if not follows:
        return None
    firsts = list(dict.fromkeys(one.first for one in follows))
    thens = list(dict.fromkeys(one.then for one in follows))
    tall = min(FLOW_HEIGHT, FLOW_EACH * len(follows))  # a single flow is no wall
    scale = tall / sum(one.n for one in follows)
    left, right = SIDE, WIDTH - SIDE
    height = tall + GAP * (max(len(firsts), len(thens)) + 1) + 24

    def draw(axes: Axes) -> None:
        starts = _column(axes, [(f, [o.n for o in follows if o.first == f]) for f in firsts], left, "right", scale)
        ends = _column(axes, [(t, [o.n for o in follows if o.then == t]) for t in thens], right, "left", scale)
        for one in follows:
            y0, y1, thick = starts[one.first], ends[one.then], one.n * scale
            starts[one.first], ends[one.then] = y0 + thick, y1 + thick
            axes.add_patch(PathPatch(_ribbon(left + 6, y0, right - 6, y1, thick), color=BLUE, alpha=0.35, linewidth=0))
        axes.text(0, height - 4, "first", color=MUTED, fontsize=12)
        axes.text(WIDTH, height - 4, "then", color=MUTED, fontsize=12, ha="right")

    alt = "What follows what. " + "; ".join(follow(one, small_count=small_count) for one in follows)
    return drawing(WIDTH, height, draw, alt=words.clean(alt))


def _column(
    axes: Axes, rows: Sequence[tuple[str, Sequence[int]]], x: float, side: str, scale: float
) -> dict[str, float]:
    """Bars with their names; gives where the first flow of each name starts."""
    y, starts = GAP, dict[str, float]()
    for name, counts in rows:
        tall = sum(counts) * scale
        starts[name] = y
        bar = x - 6 if side == "left" else x
        axes.add_patch(Rectangle((bar, y), 6, tall, color=GREEN, linewidth=0))
        label = words.short(words.plain(name), 22)
        axes.text(x + (4 if side == "left" else -4), y + tall / 2 + 5, label, color=INK, fontsize=12, ha=side)
        y += tall + GAP
    return starts


def _ribbon(x0: float, y0: float, x1: float, y1: float, thick: float) -> Path:
    middle = (x0 + x1) / 2
    points = [
        (x0, y0), (middle, y0), (middle, y1), (x1, y1),
        (x1, y1 + thick), (middle, y1 + thick), (middle, y0 + thick), (x0, y0 + thick), (x0, y0),
    ]  # fmt: skip
    curve = [Path.CURVE4] * 3
    return Path(points, [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY])


def link(one: Link) -> str:
    """One link as a clause."""
    least = "at least " if one.is_bound else ""
    first, second = (words.lower_first(words.short(words.plain(n), 60)) for n in (one.first, one.second))
    many = f"{least}{words.number(one.n_both)} people, {least}{one.lift:.1f} times as many as by chance"
    return f"{first} and {second}: {many}"


def follow(one: Follow, *, small_count: int) -> str:
    """One sequence as a clause."""
    first, then = (words.lower_first(words.short(words.plain(n), 60)) for n in (one.first, one.then))
    days = words.plural(one.median_days, "day")
    back = words.people(one.n_reverse, f"fewer than {small_count}", small_count=small_count)
    return f"{words.number(one.n)} people had {first} first, {then} {days} later (median); {back} the other way round"
