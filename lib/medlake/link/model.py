"""A model of linkage: the weight of every level, what stays out of the blocks, and how likely a match is beforehand.

A model is fixed once it is made: the same two records have the same weight whenever and with whomever they arrive.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from medlake.link.blocking import BLOCK_RULES
from medlake.link.comparison import COMPARISONS, Comparison

MATCHES_OF_A_GUESS = 20.0  # pairs of one person that what is declared of m counts for
PAIRS_OF_A_GUESS = 100_000.0  # pairs of two people that what is declared of u counts for
LEAST_M, LEAST_U = 1e-4, 1e-8

Shares = Mapping[str, tuple[float, ...]]  # field → share of pairs at each level


@dataclass(frozen=True)
class Model:
    """m and u per field and level, the probability that two records drawn at random are one person, and the plan."""

    m: Shares
    u: Shares
    prior: float
    rules: tuple[str, ...] = tuple(rule.name for rule in BLOCK_RULES)  # those that are used
    stopped: tuple[int, ...] = ()  # hashes of blocks that are too large
    estimated: Mapping[str, float] = field(default_factory=dict)  # field → matches that Splink's m of it rests on

    @property
    def model_id(self) -> str:
        """The same for the same numbers."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def weights(self, comparison: Comparison) -> list[float]:
        """log2(m / u) of each level, in bits."""
        m, u = self.m[comparison.field], self.u[comparison.field]
        return [math.log2(max(a, LEAST_M) / max(b, LEAST_U)) for a, b in zip(m, u, strict=True)]

    @property
    def is_of_now(self) -> bool:
        """Whether it has a weight for each level that is looked at today: the code may have changed since."""
        sizes = {c.field: len(c.levels) for c in COMPARISONS}
        return all({field: len(v) for field, v in shares.items()} == sizes for shares in (self.m, self.u))

    @property
    def prior_weight(self) -> float:
        """log2 of the odds of a match beforehand, in bits."""
        return math.log2(self.prior / (1 - self.prior))

    def to_json(self) -> str:
        """Everything, in one order."""
        said = {
            "m": {k: list(v) for k, v in self.m.items()}, "u": {k: list(v) for k, v in self.u.items()},
            "prior": self.prior, "rules": list(self.rules), "stopped": list(self.stopped),
            "estimated": dict(self.estimated),
        }  # fmt: skip
        return json.dumps(said, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Model:
        """What `to_json` wrote."""
        said = json.loads(text)
        m, u = ({k: tuple(v) for k, v in said[name].items()} for name in ("m", "u"))
        return Model(m, u, said["prior"], tuple(said["rules"]), tuple(said["stopped"]), said["estimated"])

    def with_m(self, found: Mapping[str, tuple[tuple[float, ...], float]]) -> Model:
        """Estimates of m (field → shares, and the matches that they rest on) laid over what is declared."""
        m = {k: _blended(v, *found[k], MATCHES_OF_A_GUESS) if k in found else v for k, v in self.m.items()}
        return replace(self, m=m, estimated={k: _short(n) for k, (_, n) in found.items()})

    def with_u(self, found: Shares, n_pairs: float) -> Model:
        """Estimates of u from that many pairs laid over what is declared."""
        u = {
            k: _blended(v, found[k], n_pairs, PAIRS_OF_A_GUESS) if k in found else v for k, v in self.u.items()
        }
        return replace(self, u=u)


def declared(prior: float) -> Model:
    """The model that needs no data but the share of matches among all pairs."""
    m = {c.field: tuple(level.m for level in c.levels) for c in COMPARISONS}
    u = {c.field: tuple(level.u for level in c.levels) for c in COMPARISONS}
    return Model(m, u, prior)


def _blended(guess: tuple[float, ...], found: tuple[float, ...], n: float, n_guess: float) -> tuple[float, ...]:
    return tuple(_short((n * b + n_guess * a) / (n + n_guess)) for a, b in zip(guess, found, strict=True))


def _short(number: float) -> float:
    """Six digits: sums in another order must not make another model."""
    return float(f"{number:.6g}")
