"""The demo's rooms, one function each, drawn with draw.py: used by make_assets.py, never at run time."""

from __future__ import annotations

from draw import Box, Canvas, Colour, Light, Point, mix
from draw_furniture import WHITE, bed, lamp, pane, picture, plant, rug, shelves, sofa, table
from PIL import Image

DAY = Light(((0, 0, 0), (0, 0, 0)))
WARM = Light(((0, 0, 0), (0, 0, 0)), (255, 240, 220))
LATE = Light(((0, 0, 0), (0, 0, 0)), (168, 156, 190), lamps=True)

BACK: Box = (90, 60, 390, 220)  # the far wall of every room


def room(seed: int, wall: Colour, floor: Colour, tiles: bool = False, height: int = 320) -> Canvas:
    """An empty room seen from the door: ceiling, three walls, floor boards or tiles running to one vanishing point."""
    c = Canvas(seed, (480, height))
    x0, y0, x1, y1 = BACK
    c.rect((0, 0, 480, height), mix(wall, (40, 36, 40), 0.16))
    c.poly([(0, 0), (480, 0), (x1, y0), (x0, y0)], mix(WHITE, wall, 0.18))
    c.gradient(BACK, [mix(wall, WHITE, 0.12), wall, mix(wall, (60, 50, 46), 0.14)])
    c.poly([(480, 0), (480, height), (x1, y1), (x1, y0)], mix(wall, (40, 36, 40), 0.08))
    ground: list[Point] = [(x0, y1), (x1, y1), (480, height), (0, height)]
    c.poly(ground, floor)
    for n in range(17):
        c.line([(x0 + n * 18.75, y1), (n * 30, height)], mix(floor, (30, 20, 10), 0.22), 1)
    for n in range(1, 6) if tiles else ():
        deep = (n / 6) ** 1.5
        y = y1 + (height - y1) * deep
        c.line([(x0 * (1 - deep), y), (x1 + (480 - x1) * deep, y)], mix(floor, (30, 20, 10), 0.22), 1)
    c.soft([(x0, y1), (x1, y1), (x1 + 20, y1 + 20), (x0 - 20, y1 + 20)], (40, 26, 16), 0.35, 8)
    c.soft([(0, 0), (8, 0), (x0, y0), (x0, y1), (0, height)], (30, 26, 30), 0.12, 6)
    c.texture((0, 0, 480, height), (90, 76, 66), (30, 20), 0.1)
    c.line([(0, height - 8), (x0, y1 - 4), (x1, y1 - 4), (480, height - 8)], mix(wall, WHITE, 0.6), 5)
    return c


def living(seed: int, wall: Colour, couch: Colour, accent: Colour, light: Light = DAY) -> Image.Image:
    c = room(seed, wall, (176, 132, 90))
    pane(c, (250, 84, 340, 160), accent)
    picture(c, (122, 84, 172, 124), accent, mix(accent, WHITE, 0.5))
    picture(c, (184, 92, 214, 124), couch, WHITE)
    rug(c, (110, 252, 390, 312), accent)
    sofa(c, (112, 164, 260, 236), couch, mix(accent, WHITE, 0.35))
    table(c, (200, 250, 310, 290), (140, 96, 62))
    c.rect((240, 240, 262, 251), WHITE, 3)
    lamp(c, 100, 240)
    plant(c, 386, 254, 84)
    return c.finish(light)


def kitchen(seed: int, wall: Colour, front: Colour, top: Colour, tiles: bool) -> Image.Image:
    c = room(seed, wall, (206, 196, 180) if tiles else (186, 146, 104), tiles)
    c.rect((92, 128, 388, 164), mix(WHITE, front, 0.14))
    for x in range(92, 388, 12):
        c.line([(x, 128), (x, 164)], mix(wall, (90, 90, 90), 0.2), 0.5)
    for y in (140, 152):
        c.line([(92, y), (388, y)], mix(wall, (90, 90, 90), 0.2), 0.5)
    pane(c, (204, 72, 284, 126))
    for x in (94, 146, 292, 342):
        c.rect((x, 66, x + 46, 118), front, 2)
        c.rect((x + 5, 71, x + 41, 113), mix(front, WHITE, 0.14), 2)
        c.rect((x + 36, 100, x + 38, 110), (230, 210, 150))
    c.rect((90, 164, 390, 171), top)
    for x in range(92, 388, 50):
        c.rect((x, 172, x + 47, 224), front, 2)
        c.rect((x + 5, 178, x + 42, 218), mix(front, WHITE, 0.14), 2)
        c.rect((x + 16, 182, x + 32, 184), (230, 210, 150))
    c.rect((294, 173, 338, 222), (60, 62, 66), 3)
    c.rect((300, 186, 332, 214), (30, 32, 36), 3)
    c.line([(238, 164), (238, 146), (250, 146), (250, 152)], (170, 176, 180), 3)
    for n, colour in enumerate(((214, 90, 60), (240, 190, 70), (110, 150, 80))):
        c.rect((112 + n * 18, 148, 124 + n * 18, 164), colour, 3)
    for x in (180, 240, 300):
        c.line([(x, 0), (x, 34)], (60, 56, 54), 1)
        c.poly([(x - 5, 34), (x + 5, 34), (x + 16, 48), (x - 16, 48)], mix(front, (20, 20, 20), 0.3))
    c.poly([(96, 246), (372, 246), (398, 262), (70, 262)], mix(top, WHITE, 0.25))
    c.rect((70, 262, 398, 269), top)
    c.rect((82, 269, 386, 320), mix(front, (20, 20, 30), 0.2))
    c.ellipse((196, 238, 262, 258), (236, 232, 222))
    for n in range(6):
        c.ellipse(
            (204 + n * 8, 232 + n % 2 * 4, 218 + n * 8, 246 + n % 2 * 4),
            ((220, 120, 40), (196, 60, 50), (200, 190, 70))[n % 3],
        )
    return c.finish(WARM)


def bedroom(seed: int, wall: Colour, cover: Colour, light: Light = WARM) -> Image.Image:
    c = room(seed, wall, (196, 158, 118))
    late = light is LATE
    pane(
        c,
        (110, 80, 176, 156),
        mix(cover, WHITE, 0.4),
        ((30, 36, 80), (120, 90, 130)) if late else ((150, 196, 226), (246, 236, 214)),
    )
    picture(c, (262, 78, 332, 116), cover, mix(cover, (250, 220, 140), 0.6))
    bed(c, (200, 200, 400, 296), cover, (130, 92, 66))
    table(c, (176, 196, 214, 240), (130, 92, 66))
    lamp(c, 195, 200, height=22)
    rug(c, (60, 278, 196, 312), mix(cover, WHITE, 0.3))
    return c.finish(light)


def bathroom() -> Image.Image:
    c = room(31, (196, 224, 222), (90, 130, 138), True)
    for x in range(90, 391, 15):
        c.line([(x, 130), (x, 220)], (150, 190, 190), 0.7)
    for y in range(130, 220, 15):
        c.line([(90, y), (390, y)], (150, 190, 190), 0.7)
    pane(c, (290, 74, 350, 120))
    c.ellipse((120, 72, 190, 142), (180, 150, 110))
    c.ellipse((126, 78, 184, 136), (214, 232, 240))
    c.rect((112, 176, 200, 184), (170, 120, 80))
    c.rect((130, 160, 182, 177), WHITE, 8)
    c.line([(156, 162), (156, 148), (164, 148)], (190, 170, 110), 3)
    c.rect((120, 184, 124, 228), (170, 120, 80))
    c.rect((188, 184, 192, 228), (170, 120, 80))
    c.soft([(220, 276), (440, 276), (450, 292), (214, 292)], (10, 30, 30), 0.5, 6)
    c.rect((214, 206, 444, 220), (255, 255, 255), 7)
    c.poly([(222, 214), (436, 214), (416, 280), (244, 280)], (250, 250, 250))
    c.soft([(230, 256), (426, 256), (414, 280), (244, 280)], (150, 170, 176), 0.6, 8)
    c.line([(250, 206), (250, 172), (272, 172), (272, 180)], (190, 170, 110), 4)
    plant(c, 66, 292, 70)
    return c.finish(DAY)


def study() -> Image.Image:
    c = room(32, (110, 128, 112), (140, 98, 66))
    shelves(c, (98, 70, 238, 218), (150, 104, 68))
    pane(c, (276, 80, 356, 150))
    table(c, (240, 198, 420, 270), (120, 80, 54))
    c.rect((300, 164, 352, 198), (40, 42, 48), 2)
    c.rect((303, 167, 349, 194), (120, 170, 200))
    lamp(c, 392, 206, (210, 90, 60), 30)
    c.rect((296, 226, 350, 262), (60, 80, 96), 9)
    c.rect((320, 262, 326, 300), (50, 50, 54))
    rug(c, (60, 262, 230, 308), (176, 90, 70))
    return c.finish(WARM)


def attic() -> Image.Image:
    """A tall room under the roof: upright, for the photograph that EXIF turns."""
    c = room(33, (236, 226, 206), (190, 150, 106), height=640)
    c.poly([(0, 0), (240, 0), (0, 300)], (214, 200, 176))
    c.poly([(480, 0), (240, 0), (480, 300)], (198, 184, 160))
    for offset in (0, 90, 180):
        c.line([(0, 300 - offset), (240 - offset * 0.8, 0)], (140, 100, 68), 9)
        c.line([(480, 300 - offset), (240 + offset * 0.8, 0)], (128, 90, 60), 9)
    pane(c, (196, 90, 284, 176), (190, 120, 90))
    shelves(c, (310, 130, 386, 222), (160, 116, 80))
    rug(c, (90, 470, 400, 600), (96, 130, 150))
    sofa(c, (96, 320, 300, 430), (206, 150, 90), (110, 140, 130))
    lamp(c, 352, 470, height=190)
    plant(c, 420, 560, 130)
    return c.finish(WARM)


def tatami() -> Image.Image:
    """A room of mats and paper screens; saved as PNG."""
    c = room(34, (226, 214, 182), (196, 190, 120))
    for x in (110, 180, 250, 320):
        c.rect((x, 74, x + 64, 218), (120, 84, 54))
        c.rect((x + 4, 78, x + 60, 190), (252, 248, 234))
        for step in (20, 40):
            c.line([(x + step, 78), (x + step, 190)], (120, 84, 54), 1.5)
        for y in (106, 134, 162):
            c.line([(x + 4, y), (x + 60, y)], (120, 84, 54), 1.5)
        c.rect((x + 4, 192, x + 60, 214), (150, 108, 70))
    for y in (240, 272):
        c.line([(90 - (y - 220) * 0.9, y), (390 + (y - 220) * 0.9, y)], (60, 84, 60), 4)
    table(c, (176, 232, 304, 262), (110, 60, 40))
    for x, colour in ((130, (160, 60, 60)), (312, (60, 80, 130))):
        c.poly([(x, 268), (x + 40, 268), (x + 46, 282), (x - 6, 282)], colour)
    c.ellipse((230, 222, 250, 238), (60, 90, 80))
    return c.finish(WARM)


def loft() -> Image.Image:
    """Bare brick and tall panes; saved as AVIF."""
    c = room(35, (170, 96, 74), (120, 104, 92))
    for y in range(60, 220, 6):
        c.line([(90, y), (390, y)], (196, 130, 106), 0.6)
        for x in range(90 + y % 12, 390, 14):
            c.line([(x, y), (x, y + 6)], (196, 130, 106), 0.6)
    for x in (112, 206, 300):
        pane(c, (x, 74, x + 68, 170))
    sofa(c, (150, 186, 320, 258), (70, 76, 86), (230, 160, 60))
    table(c, (190, 266, 290, 300), (90, 66, 48))
    plant(c, 70, 286, 100)
    lamp(c, 410, 280, height=150)
    return c.finish(DAY)


def hall() -> Image.Image:
    """The stairs, up from a chequered floor."""
    c = room(36, (214, 206, 220), (214, 210, 204), True)
    for n in range(9):
        x, y = 214 + n * 19, 214 - n * 16
        c.rect((x, y, 390, y + 16), mix((176, 128, 86), WHITE, 0.25))
        c.rect((x - 3, y, 390, y + 4), (140, 92, 58))
        c.rect((x + 6, y - 40, x + 8, y), WHITE)
    c.line([(220, 172), (376, 42)], (120, 78, 50), 5)
    c.rect((112, 92, 172, 220), (60, 96, 110))
    for y in (100, 158):
        for x in (118, 145):
            c.rect((x, y, x + 21, y + 48), (76, 116, 130))
    c.ellipse((160, 154, 166, 160), (230, 200, 110))
    picture(c, (184, 96, 206, 126), (220, 150, 90), WHITE)
    c.line([(240, 0), (240, 24)], (90, 80, 70), 1.5)
    c.ellipse((226, 22, 254, 48), (252, 236, 190))
    plant(c, 64, 296, 84)
    return c.finish(WARM)


def nursery() -> Image.Image:
    c = room(37, (206, 222, 236), (214, 184, 140))
    pane(c, (250, 80, 330, 146), (246, 190, 110))
    for n, colour in enumerate(((230, 90, 90), (246, 190, 80), (110, 180, 120), (90, 140, 210), (180, 120, 200))):
        x = 104 + n * 26
        c.poly([(x, 66), (x + 24, 66), (x + 12, 86)], colour)
    shelves(c, (104, 118, 214, 216), (240, 232, 220))
    bed(c, (250, 210, 386, 288), (246, 170, 90), (240, 236, 228))
    rug(c, (90, 252, 240, 306), (120, 180, 150))
    for n, colour in enumerate(((220, 80, 80), (80, 130, 200), (246, 200, 80))):
        c.rect((130 + n * 22, 262, 148 + n * 22, 280), colour, 2)
    c.rect((141, 244, 159, 262), (120, 180, 110), 2)
    return c.finish(DAY)
