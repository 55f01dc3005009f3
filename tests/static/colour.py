"""Colours as eyes see them: sRGB, contrast (WCAG 2.2), difference (OKLab), and colour blindness
(Machado, Oliveira and Fernandes 2009, full severity, on linear light)."""

from __future__ import annotations

import math
import re
from pathlib import Path

Light = tuple[float, float, float]
CSS = Path(__file__).resolve().parents[2] / "static/css"

VISIONS: dict[str, tuple[Light, Light, Light]] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def tokens(theme: str) -> dict[str, str]:
    """Every plain colour of tokens.css in the light or the dark theme."""
    found = re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);",
        (CSS / "tokens.css").read_text(),
    )
    return {name: light if theme == "light" else dark for name, light, dark in found}


def light(hex: str) -> Light:
    """Linear light of `#rrggbb`."""
    channels = [int(hex[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return r, g, b


def simulated(colour: Light, vision: str) -> Light:
    """A colour as someone with this vision sees it."""
    r, g, b = (
        min(1.0, max(0.0, sum(m * c for m, c in zip(row, colour, strict=True))))
        for row in VISIONS[vision]
    )
    return r, g, b


def mixed(over: Light, under: Light, share: float) -> Light:
    """One colour laid over another, as color-mix in srgb does."""

    def curve(c: float) -> float:
        return 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055

    def mix(a: float, b: float) -> float:
        c = curve(a) * share + curve(b) * (1 - share)
        return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4

    r, g, b = (mix(a, c) for a, c in zip(over, under, strict=True))
    return r, g, b


def contrast(a: Light, b: Light) -> float:
    """WCAG's contrast, from 1 to 21."""

    def luminance(c: Light) -> float:
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def difference(a: Light, b: Light) -> float:
    """Distance in OKLab, times 100: two are just noticeably different."""
    return math.dist(_oklab(a), _oklab(b)) * 100


def _oklab(colour: Light) -> Light:
    r, g, b = colour
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )
