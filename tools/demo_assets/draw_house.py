"""A house seen from the road, with its windows and door: used by make_assets.py, never at run time."""

from __future__ import annotations

from dataclasses import dataclass

from draw import Box, Canvas, Colour, Point, mix


def window(c: Canvas, box: Box, frame: Colour = (246, 244, 238), bars: int = 1) -> None:
    """A pane that mirrors the sky, its frame and glazing bars; remembered so that it can be lit."""
    x0, y0, x1, y1 = box
    c.rect((x0 - 2, y0 - 2, x1 + 2, y1 + 2), frame)
    c.gradient(box, [(96, 124, 146), (58, 78, 96), (40, 54, 68)])
    c.poly([(x0, y1), (x0, y0 + (y1 - y0) * 0.5), (x0 + (x1 - x0) * 0.6, y0), (x1, y0)], (122, 150, 170))
    for bar in range(1, bars + 1):
        x = x0 + (x1 - x0) * bar / (bars + 1)
        c.line([(x, y0), (x, y1)], frame, 1.5)
    c.line([(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], frame, 1.5)
    c.rect((x0 - 3, y1 + 2, x1 + 3, y1 + 4), mix(frame, (90, 90, 90), 0.3))
    c.windows.append(box)


def door(c: Canvas, x: float, base: float, colour: Colour, size: Point = (22, 44)) -> None:
    w, h = size
    c.rect((x - w / 2 - 3, base - h - 3, x + w / 2 + 3, base), (240, 236, 228))
    c.rect((x - w / 2, base - h, x + w / 2, base), colour)
    for top in (0.1, 0.55):
        c.rect((x - w * 0.33, base - h * (1 - top), x + w * 0.33, base - h * (0.65 - top)), mix(colour, (0, 0, 0), 0.2))
    c.ellipse((x + w * 0.3, base - h * 0.5, x + w * 0.3 + 3, base - h * 0.5 + 3), (230, 200, 110))
    c.rect((x - w / 2 - 8, base, x + w / 2 + 8, base + 4), (190, 184, 174))


@dataclass(frozen=True)
class Facade:
    """What a house looks like from the road."""

    wall: Colour
    roof: Colour
    door: Colour
    bays: int = 3
    storeys: int = 2
    gable: bool = False
    brick: bool = False
    timber: bool = False
    shutters: Colour | None = None
    snow: bool = False


def house(c: Canvas, box: Box, look: Facade) -> None:
    """A house whose walls fill the box; the roof stands above it."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    rise = width * (0.42 if look.gable else 0.26)
    c.soft([(x0 + 8, y1), (x1 + 40, y1), (x1 + 50, y1 + 12), (x0, y1 + 10)], (20, 30, 20), 0.5, 5)
    for chimney in (0.2, 0.78) if look.bays > 2 else (0.75,):
        cx, inset = x0 + width * chimney, rise * (0.5 if look.gable else 0.95)
        c.rect((cx - 8, y0 - inset - 18, cx + 8, y0 - 4), mix(look.roof, (140, 70, 50), 0.6))
        c.rect((cx - 10, y0 - inset - 20, cx + 10, y0 - inset - 15), (90, 80, 76))
    c.rect(box, look.wall)
    if look.gable:
        c.poly([(x0, y0), (x1, y0), ((x0 + x1) / 2, y0 - rise + 6)], look.wall)
    c.texture(box, mix(look.wall, (60, 50, 40), 0.5), (40, 24), 0.22)
    if look.brick:
        for row in range(int(height / 4)):
            y = y0 + row * 4
            c.line([(x0, y), (x1, y)], mix(look.wall, (240, 220, 200), 0.25), 0.5)
    if look.timber:
        beams = [x0 + width * n / 6 for n in range(7)]
        for x in beams:
            c.line([(x, y0), (x, y1)], (84, 62, 48), 4)
        for y in (y0, y0 + height * 0.48, y1 - 2):
            c.line([(x0, y), (x1, y)], (84, 62, 48), 4)
        for a, b in ((0, 1), (6, 5)):
            c.line([(beams[a], y0 + height * 0.48), (beams[b], y0)], (84, 62, 48), 3)
        if look.gable:
            c.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y0 - rise)], (84, 62, 48), 4)
    snow = (244, 248, 252)
    roof = snow if look.snow else look.roof
    peak = (x0 + x1) / 2
    if look.gable:
        edge: list[Point] = [(x0 - 14, y0 + 8), (peak, y0 - rise), (x1 + 14, y0 + 8)]
        c.line(edge, roof, 10)
        c.line([(x, y + 6) for x, y in edge], mix(look.roof, (20, 20, 20), 0.4), 3)
        window(c, (peak - 9, y0 - rise * 0.5, peak + 9, y0 - rise * 0.5 + 22))
    else:
        c.poly(
            [(x0 - 10, y0 + 3), (x0 + width * 0.1, y0 - rise), (x1 - width * 0.1, y0 - rise), (x1 + 10, y0 + 3)], roof
        )
        for row in range(1, 7):
            y, slant = y0 - rise + rise * row / 7, width * 0.1 * (1 - row / 7)
            c.line([(x0 + slant - 8 * row / 7, y), (x1 - slant + 8 * row / 7, y)], mix(roof, (30, 20, 20), 0.18), 1)
        c.rect((x0 - 10, y0 + 1, x1 + 10, y0 + 5), (232, 228, 220))
    c.soft([(x0, y0 + 4), (x1, y0 + 4), (x1, y0 + 13), (x0, y0 + 13)], (20, 16, 20), 0.4, 3)
    storey, bay = height / look.storeys, width / look.bays
    for level in range(look.storeys):
        for n in range(look.bays):
            cx, top = x0 + bay * (n + 0.5), y0 + storey * (level + 0.26)
            if level == look.storeys - 1 and n == look.bays // 2:
                door(c, cx, y1, look.door, (22, min(48, storey * 0.78)))
                continue
            half = min(14, bay * 0.24)
            window(c, (cx - half, top, cx + half, top + storey * 0.46))
            if look.shutters:
                for side in (-1, 1):
                    sx = cx + side * (half + 7)
                    c.rect((sx - 4, top - 2, sx + 4, top + storey * 0.46 + 2), look.shutters)
