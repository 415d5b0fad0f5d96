"""A small canvas over Pillow, and what stands out of doors on it: used by make_assets.py, never at run time.

Everything is drawn at twice its size and scaled down, in daylight; the hour of the day is a tint laid over it at the
end, with the windows lit afterwards, so one house serves for noon, dusk and the frames of a film.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]

SIZE = (480, 320)
SCALE = 2


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` (0 to 1) of `b` in it."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def ramp(stops: Sequence[Colour], at: float) -> Colour:
    """The colour at `at` (0 to 1) on a row of evenly spaced stops."""
    place = min(max(at, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    return mix(stops[index], stops[index + 1], place - index)


@dataclass(frozen=True)
class Light:
    """An hour of the day: the sky from the top to the horizon, the tint of everything below it, where the sun is."""

    sky: tuple[Colour, ...]
    tint: Colour = (255, 255, 255)
    sun: Point | None = None
    cloud: Colour = (255, 255, 255)
    lamps: bool = False


NOON = Light(((74, 142, 206), (142, 194, 230), (214, 232, 240)), sun=(380, 50))
MORNING = Light(((108, 150, 200), (190, 206, 216), (250, 226, 190)), (255, 244, 226), (90, 110))
DUSK = Light(
    ((46, 44, 92), (148, 84, 122), (240, 150, 100), (252, 206, 140)), (214, 172, 176), (150, 190), (250, 176, 150), True
)
NIGHT = Light(((10, 14, 40), (24, 34, 76), (62, 72, 116)), (96, 108, 158), None, (56, 64, 104), True)
GREY = Light(((150, 160, 170), (186, 194, 200), (216, 220, 222)), (236, 240, 246), cloud=(234, 238, 240))


class Canvas:
    """Drawing in units of the finished picture; seeded, so the same calls give the same pixels."""

    def __init__(self, seed: int, size: tuple[int, int] = SIZE) -> None:
        self.random = random.Random(seed)
        self.width, self.height = size
        self.image = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE))
        self.pen = ImageDraw.Draw(self.image)
        self.windows: list[Box] = []

    def poly(self, points: Sequence[Point], fill: Colour) -> None:
        self.pen.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=fill)

    def rect(self, box: Box, fill: Colour, radius: float = 0) -> None:
        x0, y0, x1, y1 = (value * SCALE for value in box)
        self.pen.rounded_rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), radius=radius * SCALE, fill=fill)

    def ellipse(self, box: Box, fill: Colour) -> None:
        self.pen.ellipse([value * SCALE for value in box], fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, width: float = 1) -> None:
        self.pen.line([(x * SCALE, y * SCALE) for x, y in points], fill=fill, width=round(width * SCALE), joint="curve")

    def gradient(self, box: Box, stops: Sequence[Colour]) -> None:
        """Fill a box from the top stop to the bottom one."""
        x0, y0, x1, y1 = (round(value * SCALE) for value in box)
        column = Image.new("RGB", (1, y1 - y0))
        for y in range(y1 - y0):
            column.putpixel((0, y), ramp(stops, y / max(1, y1 - y0 - 1)))
        self.image.paste(column.resize((x1 - x0, y1 - y0)), (x0, y0))

    def soft(self, points: Sequence[Point], fill: Colour, strength: float, blur: float) -> None:
        """A blurred, see-through polygon: shadow, glow, a pool of light."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon([(x * SCALE, y * SCALE) for x, y in points], fill=round(255 * strength))
        self.image.paste(fill, (0, 0), mask.filter(ImageFilter.GaussianBlur(blur * SCALE)))

    def noise(self, cells: tuple[int, int], size: tuple[int, int]) -> Image.Image:
        """Smooth noise: a coarse grid of random greys, enlarged."""
        grid = Image.frombytes("L", cells, self.random.randbytes(cells[0] * cells[1]))
        return grid.resize(size, Image.Resampling.BICUBIC)

    def texture(self, box: Box, fill: Colour, cells: tuple[int, int], strength: float = 0.3) -> None:
        """Mottle a box with a second colour: grass, plaster, water, stone."""
        x0, y0, x1, y1 = (round(value * SCALE) for value in box)
        mask = self.noise(cells, (x1 - x0, y1 - y0)).point([round(value * strength) for value in range(256)])
        self.image.paste(fill, (x0, y0, x1, y1), mask)

    def finish(self, light: Light = NOON) -> Image.Image:
        """Lay the hour over the picture, light its windows if it is late, and scale it down."""
        image = ImageChops.multiply(self.image, Image.new("RGB", self.image.size, light.tint))
        if light.lamps:
            image = ImageChops.screen(image, self.lamplight(1))
        return image.resize((self.width, self.height), Image.Resampling.LANCZOS)

    def lamplight(self, strength: float) -> Image.Image:
        """The windows alone, lit, on black: to be screened over the picture."""
        glow = Image.new("RGB", self.image.size)
        pen = ImageDraw.Draw(glow)
        for x0, y0, x1, y1 in self.windows:
            pen.rectangle([v * SCALE for v in (x0, y0, x1, y1)], fill=mix((0, 0, 0), (250, 190, 96), strength))
        return ImageChops.screen(
            ImageChops.multiply(glow, Image.new("RGB", glow.size, (216, 216, 216))),
            glow.filter(ImageFilter.GaussianBlur(9 * SCALE)),
        )


def sky(c: Canvas, light: Light, horizon: float, clouds: float = 0.8) -> None:
    """The sky down to the horizon. The tint is taken out beforehand, as finish() will lay it over the sky too."""

    def untinted(colour: Colour) -> Colour:
        red, green, blue = (min(255, round(v * 255 / t)) for v, t in zip(colour, light.tint, strict=True))
        return red, green, blue

    c.gradient((0, 0, c.width, horizon), [untinted(stop) for stop in light.sky])
    c.rect((0, horizon, c.width, c.height), untinted(light.sky[-1]))
    size = (c.width * SCALE, round(horizon * SCALE))
    drift = Image.blend(c.noise((6, 7), size), c.noise((17, 19), size), 0.4)
    fade = [round(min(1.0, max(0.0, (value - 124) / 90)) * 235 * clouds) for value in range(256)]
    c.image.paste(untinted(light.cloud), (0, 0, *size), drift.point(fade))
    if light.sun:
        x, y = light.sun
        for radius, strength, blur in ((44, 0.35, 22), (13, 1.0, 2)):
            ring = [(x + radius * dx, y + radius * dy) for dx, dy in ((-1, -0.4), (-0.4, -1), (0.4, -1), (1, -0.4))]
            ring += [(2 * x - px, 2 * y - py) for px, py in ring]
            c.soft(ring, (255, 248, 220), strength, blur)
    elif light.lamps:
        for _ in range(60):
            x, y = c.random.uniform(0, c.width), c.random.uniform(0, horizon * 0.8)
            c.ellipse((x, y, x + 1.2, y + 1.2), (255, 255, 255))


def hills(c: Canvas, horizon: float, colour: Colour, height: float = 34) -> None:
    """Two ridges, the farther one paler."""
    for share, lift in ((0.45, 1.0), (0.12, 0.55)):
        line: list[Point] = [(0, horizon + 2)]
        level = c.random.uniform(0.4, 1)
        for x in range(0, c.width + 1, 20):
            level = min(1.0, max(0.15, level + c.random.uniform(-0.2, 0.2)))
            line.append((x, horizon - height * lift * level))
        c.poly([*line, (c.width, horizon + 2)], mix(colour, (206, 220, 232), share))


def lawn(c: Canvas, horizon: float, near: Colour = (92, 140, 62), far: Colour = (134, 172, 96)) -> None:
    c.gradient((0, horizon, c.width, c.height), [far, near])
    c.texture((0, horizon, c.width, c.height), mix(near, (20, 40, 10), 0.5), (60, 24), 0.35)
    c.texture((0, horizon, c.width, c.height), (240, 240, 190), (9, 6), 0.16)


def water(c: Canvas, top: float, bottom: float, colour: Colour) -> None:
    c.gradient((0, top, c.width, bottom), [mix(colour, (255, 255, 255), 0.45), colour])
    c.texture((0, top, c.width, bottom), (240, 248, 255), (7, round(bottom - top) // 3), 0.4)


def tree(c: Canvas, x: float, base: float, height: float, leaf: Colour = (70, 118, 52)) -> None:
    """A broad-leaved tree: clumps of leaves, lighter towards the sun."""
    trunk = height * 0.05
    c.poly(
        [
            (x - trunk, base),
            (x + trunk, base),
            (x + trunk / 2, base - height * 0.5),
            (x - trunk / 2, base - height * 0.5),
        ],
        (88, 66, 48),
    )
    for step in range(90):
        up = step / 90
        dx, dy = c.random.gauss(0, height * 0.15), c.random.uniform(-0.25, 0.3) * height * (1 - abs(up - 0.5))
        r = c.random.uniform(0.05, 0.1) * height
        cx, cy = x + dx, base - height * 0.66 + dy
        tone = mix(leaf, (20, 40, 20), 0.45) if up < 0.4 else mix(leaf, (226, 226, 130), (up - 0.4) * 0.5)
        lift = up * height * 0.05
        c.ellipse((cx - r - lift, cy - r - lift, cx + r - lift, cy + r - lift), tone)


def fir(c: Canvas, x: float, base: float, height: float, leaf: Colour = (44, 84, 64)) -> None:
    for layer in range(6):
        top, spread = base - height * (1 - layer * 0.13), height * (0.07 + layer * 0.038)
        low = top + height * 0.26
        c.poly([(x, top), (x + spread, low), (x - spread, low)], mix(leaf, (10, 24, 20), layer * 0.07))
        c.poly([(x, top), (x - spread * 0.2, low), (x - spread, low)], mix(leaf, (190, 216, 200), 0.22))


def bushes(
    c: Canvas, x0: float, x1: float, base: float, leaf: Colour, bloom: Colour | None = None, size: float = 9
) -> None:
    x = x0
    while x < x1:
        r = c.random.uniform(0.7, 1.3) * size
        c.ellipse((x - r, base - r * 1.3, x + r, base + r * 0.4), mix(leaf, (16, 34, 16), c.random.uniform(0, 0.4)))
        for _ in range(7 if bloom else 3):
            dx, dy, dot = c.random.uniform(-r, r) * 0.7, c.random.uniform(-1.2, 0.2) * r, c.random.uniform(0.8, 2)
            spot = bloom or mix(leaf, (230, 240, 160), 0.35)
            c.ellipse((x + dx - dot, base + dy - dot, x + dx + dot, base + dy + dot), spot)
        x += size * 0.8


def path(c: Canvas, x: float, top: float, colour: Colour = (206, 196, 176)) -> None:
    """A garden path from a door to the bottom edge."""
    c.poly([(x - 12, top), (x + 12, top), (x + 58, c.height), (x - 46, c.height)], colour)
    c.soft([(x + 4, top), (x + 12, top), (x + 58, c.height), (x + 40, c.height)], (90, 80, 60), 0.3, 3)
