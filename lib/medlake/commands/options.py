"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

ConfOption = Annotated[
    Path | None, typer.Option("--conf", help="Your own choices and sources, laid over the project's.")
]
LakeOption = Annotated[Path | None, typer.Option("--lake", help="Folder of the lake.")]
LandingOption = Annotated[Path | None, typer.Option("--landing", help="Folder with one sub-folder per source.")]
ProfileOption = Annotated[Literal["local", "cluster"], typer.Option("--profile", help="Which Spark settings hold.")]
FormOption = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print it.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")]
