"""The ellipse that stands for a group of points, from its mean and covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medlake.report.content import Group


@dataclass(frozen=True)
class Spread:
    """An ellipse of one standard deviation: centre, full axes, and the angle of the first one (degrees)."""

    x: float
    y: float
    width: float
    height: float
    degrees: float


def ellipse_of(group: Group) -> Spread:
    """One standard deviation around the centre of a group, along its principal axes."""
    half_trace = (group.xx + group.yy) / 2
    root = math.hypot((group.xx - group.yy) / 2, group.xy)
    major, minor = math.sqrt(max(half_trace + root, 0)), math.sqrt(max(half_trace - root, 0))
    degrees = math.degrees(math.atan2(2 * group.xy, group.xx - group.yy) / 2)
    return Spread(group.x, group.y, 2 * major, 2 * minor, degrees)
