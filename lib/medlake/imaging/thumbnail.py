"""A small picture of one frame that says nothing about whose it is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medlake.imaging.decode import DecodeError, Image

EDGE = 96  # pixels of the longer side
TAILS = (1.0, 99.0)  # percentiles that become black and white where no window is given


def thumbnail(image: Image, *, edge: int = EDGE) -> bytes:
    """The frame as an 8-bit PNG whose longer side has `edge` pixels; no text and no metadata.

    The caller must not ask for one where writing may be burned into the pixels.
    """
    shown = display(image)
    scale = edge / max(shown.shape[:2])
    size = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    done, png = cv2.imencode(".png", small[:, :, ::-1] if small.ndim == 3 else small)
    if not done:
        raise DecodeError("the thumbnail cannot be written")
    return bytes(png)


def display(image: Image) -> NDArray[np.uint8]:
    """The frame as it is looked at, 0 black to 255 white: windowed, MONOCHROME1 turned round; RGB as it is.

    The window is the linear one of PS3.3 C.11.2.1.2.1; without one, `TAILS` of the values.
    """
    if image.pixels.ndim == 3:
        return image.pixels.astype(np.uint8)
    low, high = _limits(image)
    shown = np.clip((np.nan_to_num(image.pixels, nan=low) - low) / max(high - low, 1e-9), 0, 1) * 255
    grey: NDArray[np.uint8] = np.rint(255 - shown if image.inverted else shown).astype(np.uint8)
    return grey


def _limits(image: Image) -> tuple[float, float]:
    if image.window is not None:
        centre, width = image.window
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    finite: NDArray[Any] = image.pixels[np.isfinite(image.pixels)]
    if finite.size == 0:
        raise DecodeError("no finite pixel")
    low, high = np.percentile(finite, TAILS)
    return float(low), float(high)
