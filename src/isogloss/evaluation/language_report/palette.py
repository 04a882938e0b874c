"""Colours of the report: even steps of perceived lightness, so that they work for the colour-blind and in grey.

The stronger the colour, the weaker the language, on a light page and on a dark one. Differences run from orange (worse)
over the colour of the page to blue (better), a pair that all common kinds of colour blindness tell apart.
Source of the colour space: Ottosson 2020, "A perceptual color space for image processing" (OKLab).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS = 20
DARK_INK = "#000000"
LIGHT_INK = "#ffffff"


@dataclass(frozen=True)
class Shade:
    """A background and the colour of text that is legible on it."""

    background: str
    ink: str


@dataclass(frozen=True)
class Tone:
    """A colour in OKLCH: lightness 0 to 1, chroma, hue in degrees."""

    lightness: float
    chroma: float
    hue: float

    def towards(self, other: Tone, share: float) -> Tone:
        """The tone a share of the way to another one; hues are not turned but those of the ends."""
        return Tone(
            self.lightness + (other.lightness - self.lightness) * share,
            self.chroma + (other.chroma - self.chroma) * share,
            self.hue + (other.hue - self.hue) * share,
        )

    def hexadecimal(self) -> str:
        """The colour as `#rrggbb`, brought into what screens can show."""
        return "#" + "".join(f"{round(255 * _encoded(value)):02x}" for value in _linear_rgb(self))


_WEAK = {"light": Tone(0.50, 0.135, 45), "dark": Tone(0.80, 0.135, 65)}
_STRONG = {"light": Tone(0.97, 0.012, 85), "dark": Tone(0.27, 0.012, 60)}
_WORSE = {"light": Tone(0.62, 0.14, 50), "dark": Tone(0.74, 0.13, 60)}
_BETTER = {"light": Tone(0.62, 0.12, 245), "dark": Tone(0.74, 0.10, 240)}
_NEUTRAL = {"light": 0.97, "dark": 0.27}


def weakness(theme: str) -> tuple[Shade, ...]:
    """Shades from the weakest value to the strongest, `STEPS` + 1 of them, for the theme `light` or `dark`."""
    return tuple(shade(_WEAK[theme].towards(_STRONG[theme], step / STEPS)) for step in range(STEPS + 1))


def change(theme: str) -> tuple[Shade, ...]:
    """Shades from much worse over no change to much better, `STEPS` + 1 of them."""
    half = STEPS // 2
    worse = [_faded(_WORSE[theme], _NEUTRAL[theme], step / half) for step in range(half)]
    better = [_faded(_BETTER[theme], _NEUTRAL[theme], step / half) for step in range(half)]
    return tuple(shade(tone) for tone in (*worse, Tone(_NEUTRAL[theme], 0, 0), *reversed(better)))


def shade(tone: Tone) -> Shade:
    """A background with the ink that stands out more."""
    background = tone.hexadecimal()
    return Shade(background, max((DARK_INK, LIGHT_INK), key=lambda ink: contrast(background, ink)))


def contrast(first: str, second: str) -> float:
    """Ratio of contrast as WCAG 2 defines it, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _faded(tone: Tone, lightness: float, share: float) -> Tone:
    return tone.towards(Tone(lightness, 0, tone.hue), share)


def _luminance(colour: str) -> float:
    red, green, blue = (_decoded(int(colour[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear_rgb(tone: Tone) -> tuple[float, float, float]:
    a, b = (tone.chroma * turn(math.radians(tone.hue)) for turn in (math.cos, math.sin))
    long = (tone.lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (tone.lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (tone.lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encoded(value: float) -> float:
    value = min(1.0, max(0.0, value))
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _decoded(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
