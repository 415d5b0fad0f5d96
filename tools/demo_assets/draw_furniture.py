"""What stands in the demo's rooms: used by make_assets.py, never at run time."""

from __future__ import annotations

from draw import Box, Canvas, Colour, mix

WHITE: Colour = (248, 246, 240)


def pane(
    c: Canvas, box: Box, curtain: Colour | None = None, view: tuple[Colour, ...] = ((120, 180, 226), (226, 240, 246))
) -> None:
    """A window to the sky and a hedge, and the light it throws on the floor."""
    x0, y0, x1, y1 = box
    c.rect((x0 - 5, y0 - 5, x1 + 5, y1 + 5), WHITE)
    c.gradient(box, view)
    c.poly(
        [(x0, y1), (x0, y1 - 14), ((x0 + x1) / 2, y1 - 26), (x1, y1 - 12), (x1, y1)], mix((96, 140, 80), view[-1], 0.25)
    )
    c.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], WHITE, 3)
    c.line([(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], WHITE, 3)
    floor = c.height - 20
    c.soft([(x0, 232), (x1, 232), (x1 + 46, floor), (x0 + 14, floor)], (255, 246, 214), 0.4, 7)
    if curtain:
        c.line([(x0 - 24, y0 - 10), (x1 + 24, y0 - 10)], (120, 96, 76), 2)
        for left in (x0 - 20, x1 - 2):
            for fold in range(4):
                c.rect(
                    (left + fold * 5.5, y0 - 9, left + fold * 5.5 + 6, y1 + 26),
                    mix(curtain, (20, 20, 20), fold % 2 * 0.12),
                )


def picture(c: Canvas, box: Box, one: Colour, two: Colour) -> None:
    x0, y0, x1, y1 = box
    c.rect((x0 - 3, y0 - 3, x1 + 3, y1 + 3), (70, 54, 44))
    c.rect(box, (250, 246, 236))
    c.rect((x0 + 4, y0 + 4, x1 - 4, y1 - 4), one)
    c.ellipse((x0 + 8, y0 + 8, x1 - 10, y1 - 8), two)


def rug(c: Canvas, box: Box, colour: Colour) -> None:
    for inset, tone in ((0, colour), (8, mix(colour, WHITE, 0.4)), (14, colour), (34, mix(colour, (20, 20, 40), 0.25))):
        x0, y0, x1, y1 = box
        c.ellipse((x0 + inset, y0 + inset * 0.3, x1 - inset, y1 - inset * 0.3), tone)


def lamp(c: Canvas, x: float, base: float, shade: Colour = (246, 226, 180), height: float = 96) -> None:
    c.rect((x - 1.5, base - height, x + 1.5, base), (70, 60, 56))
    c.ellipse((x - 12, base - 3, x + 12, base + 3), (70, 60, 56))
    c.poly(
        [(x - 10, base - height - 24), (x + 10, base - height - 24), (x + 20, base - height), (x - 20, base - height)],
        shade,
    )
    c.windows.append((x - 13, base - height - 22, x + 13, base - height - 1))


def plant(c: Canvas, x: float, base: float, size: float = 60, leaf: Colour = (62, 120, 72)) -> None:
    for n in range(15):
        lean = (n - 7) / 7
        tip = (x + lean * size * 0.55, base - size * (1.05 - abs(lean) * 0.5))
        tone = mix(leaf, (206, 226, 130), (n % 3) * 0.16)
        c.poly(
            [
                (x - 2, base - 14),
                (x + lean * size * 0.2 - 6, base - size * 0.55),
                tip,
                (x + lean * size * 0.3 + 4, base - size * 0.5),
            ],
            tone,
        )
    c.poly([(x - 14, base - 18), (x + 14, base - 18), (x + 10, base + 4), (x - 10, base + 4)], (190, 110, 80))


def sofa(c: Canvas, box: Box, colour: Colour, cushion: Colour) -> None:
    x0, y0, x1, y1 = box
    c.soft([(x0, y1 - 2), (x1, y1 - 2), (x1 + 10, y1 + 10), (x0 - 8, y1 + 10)], (20, 14, 10), 0.5, 5)
    dark = mix(colour, (20, 20, 24), 0.22)
    c.rect((x0 + 10, y0, x1 - 10, y1 - 8), dark, 9)
    middle, seat = (x0 + x1) / 2, y0 + (y1 - y0) * 0.52
    c.rect((x0 + 18, seat, middle - 1, y1 - 10), colour, 5)
    c.rect((middle + 1, seat, x1 - 18, y1 - 10), colour, 5)
    for left in (x0, x1 - 22):
        c.rect((left, y0 + 18, left + 22, y1 - 6), mix(colour, WHITE, 0.1), 8)
    c.rect((x0 + 10, y1 - 14, x1 - 10, y1 - 4), dark)
    for left in (x0 + 26, x1 - 58):
        c.rect((left, y0 + 10, left + 32, seat + 8), cushion, 6)
    for x in (x0 + 12, x1 - 18):
        c.rect((x, y1 - 6, x + 6, y1 + 4), (80, 56, 40))


def table(c: Canvas, box: Box, wood: Colour) -> None:
    x0, y0, x1, y1 = box
    c.soft([(x0, y1), (x1, y1), (x1 + 8, y1 + 8), (x0 - 4, y1 + 8)], (20, 14, 10), 0.4, 4)
    c.poly([(x0 + 10, y0), (x1 - 10, y0), (x1, y0 + 12), (x0, y0 + 12)], mix(wood, WHITE, 0.2))
    c.rect((x0, y0 + 12, x1, y0 + 18), wood)
    for x in (x0 + 6, x1 - 12):
        c.rect((x, y0 + 18, x + 6, y1), mix(wood, (20, 10, 0), 0.2))


def shelves(c: Canvas, box: Box, wood: Colour) -> None:
    """A bookcase, full."""
    x0, y0, x1, y1 = box
    c.rect(box, mix(wood, (30, 16, 8), 0.5))
    covers = ((176, 70, 60), (60, 96, 120), (214, 180, 110), (90, 120, 84), (230, 222, 206), (110, 80, 110))
    rows = max(2, round((y1 - y0) / 32))
    for row in range(rows):
        low, x = y0 + (y1 - y0) * (row + 1) / rows, x0 + 5
        while x < x1 - 9:
            wide = c.random.uniform(3, 7)
            c.rect((x, low - c.random.uniform(17, 26), x + wide, low - 3), c.random.choice(covers))
            x += wide + c.random.choice((0.5, 0.5, 0.5, 9))
        c.rect((x0, low - 4, x1, low), wood)
    for x in (x0, x1 - 4):
        c.rect((x, y0 - 4, x + 4, y1), wood)
    c.rect((x0, y0 - 4, x1, y0), wood)


def bed(c: Canvas, box: Box, cover: Colour, wood: Colour) -> None:
    x0, y0, x1, y1 = box
    c.rect((x0 + 16, y0 - 46, x1 - 16, y0 + 10), wood, 5)
    c.soft([(x0, y1 - 4), (x1, y1 - 4), (x1 + 14, y1 + 8), (x0 - 12, y1 + 8)], (20, 14, 10), 0.5, 5)
    c.poly([(x0 + 18, y0), (x1 - 18, y0), (x1, y1 - 26), (x0, y1 - 26)], WHITE)
    c.poly([(x0 + 13, y0 + 18), (x1 - 13, y0 + 18), (x1, y1 - 26), (x0, y1 - 26)], cover)
    c.poly([(x0 + 13, y0 + 18), (x1 - 13, y0 + 18), (x1 - 10, y0 + 30), (x0 + 10, y0 + 30)], mix(cover, WHITE, 0.55))
    c.rect((x0, y1 - 27, x1, y1), mix(cover, (30, 20, 30), 0.2))
    middle = (x0 + x1) / 2
    for left in (x0 + 30, middle + 8):
        c.rect((left, y0 - 16, left + (x1 - x0) / 2 - 40, y0 + 8), (255, 253, 248), 7)
