"""A recipe says which tables a table is made from and by which pure function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Recipe:
    """`make(*tables named in needs)` gives the rows of `makes`."""

    makes: str
    needs: tuple[str, ...]
    make: Callable[..., DataFrame]
