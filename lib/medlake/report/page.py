"""The page of a night: one HTML file that needs nothing beside itself."""

from __future__ import annotations

from base64 import b64encode
from functools import cache, partial
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from medlake.report import figures, findings, words
from medlake.report.content import PageContent


def render(content: PageContent) -> str:
    """The page as one HTML text; the same content gives the same bytes.

    Counts of people that are None are shown by their mark; a count below the night's `small_count` that was
    left in by mistake is shown as small as well.
    """
    people = partial(words.people, small_count=content.night.small_count)
    return (
        _environment()
        .get_template("page.html")
        .render(
            c=content,
            f=findings,
            w=words,
            people=people,
            few=f"<{content.night.small_count}",
            figures=figures.of(content),
            picture=_as_data,
            style=Markup(_template("style.css")),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> str:
    """A file of templates/, also from inside a zipped wheel."""
    return files("medlake.report").joinpath("templates", name).read_text(encoding="utf-8")


def _as_data(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"
