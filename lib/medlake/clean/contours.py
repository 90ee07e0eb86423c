"""Planar contours in millimetres: the box around them and the volume within them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 3), mm
FLAT_MM = 0.1  # points farther than this from their plane make no plane
SAME_PLANE_MM = 0.01
EVEN_PART, EVEN_MM = 0.01, 0.02  # of the distance of planes; as in series_geometry
MM3_PER_ML = 1000.0


def box(contours: Sequence[Points]) -> list[float] | None:
    """Least x, y, z and greatest x, y, z of all points; None without a point."""
    points = [contour for contour in contours if len(contour)]
    if not points:
        return None
    whole = np.concatenate(points)
    return [round(float(v), 4) for v in (*whole.min(axis=0), *whole.max(axis=0))]


def volume_ml(contours: Sequence[Points]) -> float | None:
    """Areas times the distance of the planes; a contour inside another is a hole, one inside a hole an island.

    None where the contours are not flat, do not lie on evenly spaced parallel planes, or fill one plane only.
    """
    whole = [contour for contour in contours if len(contour) >= 3]
    if not whole or len(whole) != len(contours):
        return None
    normals = [_newell(contour) for contour in whole]
    normal = max(normals, key=lambda n: float(np.linalg.norm(n)))
    if not np.linalg.norm(normal):
        return None
    normal = normal / np.linalg.norm(normal)
    depths = [contour @ normal for contour in whole]
    if any(np.ptp(depth) > FLAT_MM for depth in depths):
        return None
    across = _across(normal)
    planes: dict[int, list[NDArray[np.float64]]] = {}
    for contour, depth in zip(whole, depths, strict=True):
        planes.setdefault(round(float(depth.mean()) / SAME_PLANE_MM), []).append(contour @ across)
    gaps = np.diff(np.array(sorted(planes), dtype=np.float64)) * SAME_PLANE_MM
    if not len(gaps):
        return None
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() > max(EVEN_MM, EVEN_PART * usual):
        return None
    area = sum(_filled(outlines) for outlines in planes.values())
    return round(area * usual / MM3_PER_ML, 4)


def _newell(contour: Points) -> NDArray[Any]:
    """Twice the vector area of a closed polygon (Newell's method); its direction does not hang on the first point."""
    centred = contour - contour[0]
    return np.asarray(np.cross(centred, np.roll(centred, -1, axis=0)).sum(axis=0))


def _across(normal: NDArray[Any]) -> NDArray[Any]:
    """Two directions in the plane, as columns."""
    least = np.eye(3)[int(np.argmin(np.abs(normal)))]
    first = np.cross(normal, least)
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first)], axis=1)


def _filled(outlines: list[NDArray[Any]]) -> float:
    """The area within the outlines of one plane, by even and odd."""
    total = 0.0
    for n, outline in enumerate(outlines):
        x, y = (outline - outline[0]).T
        area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
        inside = sum(_holds(other, outline[0]) for m, other in enumerate(outlines) if m != n)
        total += -area if inside % 2 else area
    return total


def _holds(outline: NDArray[Any], point: NDArray[Any]) -> bool:
    """Whether a polygon holds a point: a ray to the right crosses its edges an odd number of times."""
    (x1, y1), (x2, y2) = outline.T, np.roll(outline, -1, axis=0).T
    crosses = (y1 > point[1]) != (y2 > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x1 + (point[1] - y1) * (x2 - x1) / (y2 - y1)
    return bool(np.count_nonzero(crosses & (at > point[0])) % 2)
