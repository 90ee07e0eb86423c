"""What the page says of things that go together and follow each other, as small Python values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """People with all of `if_names` also have `then_names`; with `is_bound` the figures are lower bounds."""

    if_names: tuple[str, ...]
    then_names: tuple[str, ...]
    n_if: int
    n_both: int
    n_then: int
    n_all: int
    is_bound: bool

    @property
    def support(self) -> float:
        """Share of everybody that has both sides."""
        return self.n_both / self.n_all

    @property
    def confidence(self) -> float:
        """Share of those with the first side that also have the second."""
        return self.n_both / self.n_if

    @property
    def expected(self) -> float:
        """Share of everybody that has the second side."""
        return self.n_then / self.n_all

    @property
    def lift(self) -> float:
        """Confidence over the share expected."""
        return self.confidence / self.expected


@dataclass(frozen=True)
class Link:
    """Two diagnoses of the same people; with `is_bound` the people and the lift are lower bounds."""

    first: str
    second: str
    n_both: int
    lift: float
    is_bound: bool


@dataclass(frozen=True)
class Follow:
    """People whose `then` came after `first`, and those the other way round (None: too few to say)."""

    first: str
    then: str
    n: int
    n_reverse: int | None
    median_days: int


@dataclass(frozen=True)
class Care:
    """The comorbidity network and the frequent sequences."""

    links: tuple[Link, ...] = ()
    follows: tuple[Follow, ...] = ()
