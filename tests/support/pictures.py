"""What is asked of pictures: nothing overlaps, text stands out, nothing is cut."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from matplotlib.colors import to_rgb


def apart(boxes) -> bool:
    return not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def contrast(a, b) -> float:
    """By WCAG 2.1, its piecewise sRGB."""
    light = []
    for colour in (a, b):
        c = np.array(to_rgb(colour))
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        light.append(linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    return max(light) / min(light)


def joined(lines: Iterable[str]) -> str:
    """Lines that were wrapped, as one."""
    return " ".join(" ".join(lines).split())
