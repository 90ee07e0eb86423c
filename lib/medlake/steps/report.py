"""The page of the night: LAKE/report/<night>.html and latest.html, the only thing that leaves the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from medlake.doors.ledger import Counts, code_version
from medlake.report.content import Night, PageContent
from medlake.report.page import render
from medlake.steps import page_models, page_work
from medlake.steps.context import Context
from medlake.steps.page_people import people


def run(ctx: Context) -> Counts:
    """Read the lake's small tables, hide small counts, draw the page and put it in place."""
    page = render(gather(ctx))
    folder = ctx.settings.lake / "report"
    for name in (f"{ctx.night.number}.html", "latest.html"):
        _put(folder / name, page)
    ctx.say(f"report: {folder / 'latest.html'} ({len(page.encode()) // 1000:,} kB)")
    return Counts()


def gather(ctx: Context) -> PageContent:
    """Everything the page says; every count of people in it is safe to publish."""
    night = Night(
        night_id=str(ctx.night.number),
        finished_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        code_version=code_version(),
        small_count=ctx.settings.privacy.small_count,
    )
    who = people(ctx)
    models, work = ctx.side_by_side([lambda: page_models.models(ctx), lambda: page_work.work(ctx)])
    return PageContent(night=night, **who, **models, **work)


def _put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
