"""From a matplotlib figure to one SVG element that can stand inside an HTML page.

One unit of a drawing is one CSS pixel. Colours are named here and become CSS variables, so that the page's
style sheet decides how they look on a light screen, on a dark one and on paper. The same drawing gives the
same bytes.
"""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from hashlib import sha256
from io import StringIO
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# The hexadecimal values only stand for the CSS variables inside matplotlib; each must be unlike all others.
INK, MUTED, GRID, TRACK = "#1d2b33", "#5d6a72", "#dde2e5", "#ebeef0"
BLUE, ORANGE, GREEN, PURPLE, GOLD, GREY = "#1f6f9f", "#d2691e", "#2a8f76", "#86589f", "#b8901f", "#8a969d"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, GOLD, GREY)
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", TRACK: "track",
    BLUE: "c1", ORANGE: "c2", GREEN: "c3", PURPLE: "c4", GOLD: "c5", GREY: "c6",
}  # fmt: skip
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "medlake",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and selected
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 13,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": GRID,
    "hatch.linewidth": 1.0,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_HEX = re.compile(r"#[0-9a-f]{6}")
_FONT = re.compile(r"font-family:[^;]*;? ?")
_REFERENCE = re.compile(r"(?<=url\(#)[\w.-]+|(?<=^#)[\w.-]+")


def drawing(width: float, height: float, draw: Callable[[Axes], None], *, alt: str) -> Markup:
    """Draw on axes whose data units are pixels, x to the right and y downwards, and give the SVG element."""

    def on(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(height, 0))
        draw(axes)

    return _render(width, height, on, alt)


def plot(
    width: float,
    height: float,
    draw: Callable[[Axes], None],
    *,
    alt: str,
    margins: tuple[float, float, float, float] = (54, 12, 12, 48),
) -> Markup:
    """Draw on ordinary axes inside `margins` (left, top, right, bottom; pixels) and give the SVG element."""
    left, top, right, bottom = margins

    def on(figure: Figure) -> None:
        draw(
            figure.add_axes(
                (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
            )
        )

    return _render(width, height, on, alt)


def _render(width: float, height: float, draw: Callable[[Figure], None], alt: str) -> Markup:
    out = StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # the reader's font has it
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(out, format="svg", metadata=_NO_METADATA, transparent=True)
    text = out.getvalue()
    own = sha256(f"{alt}\n{text}".encode()).hexdigest()[:8]  # an id stands once in a page with many drawings
    root = _inlined(ET.fromstring(text), own)
    root.attrib = {
        "class": "chart",
        "viewBox": f"0 0 {width:g} {height:g}",
        "role": "img",
        "aria-label": alt,
        "style": f"max-width:{width * 1.25:g}px",
    }
    return Markup(ET.tostring(root, encoding="unicode"))


def _inlined(root: ET.Element, own: str) -> ET.Element:
    """The element without namespaces, style sheet, fonts and unused ids; the ids it uses start with `own`."""
    references = {
        name
        for element in root.iter()
        for value in element.attrib.values()
        for name in _REFERENCE.findall(value)
    }
    for parent in list(root.iter()):
        for child in [one for one in parent if one.tag.endswith(("}style", "}metadata"))]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
        if element.tag != "text":
            element.text = None
        element.attrib = {
            name.rpartition("}")[2]: _attribute(name, value, own)
            for name, value in element.attrib.items()
            if name != "id" or value in references
        }
    return root


def _attribute(name: str, value: str, own: str) -> str:
    if name == "id":
        return f"{own}-{value}"
    named = _REFERENCE.sub(lambda one: f"{own}-{one[0]}", value)
    return _css(named) if name == "style" else named.replace("\n", "")


def _css(style: str) -> str:
    without_font = _FONT.sub("", style)
    return _HEX.sub(
        lambda one: f"var(--{_VARIABLES[one[0]]})" if one[0] in _VARIABLES else one[0], without_font
    )
