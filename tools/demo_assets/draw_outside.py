"""The demo's outdoor pictures, one function each, drawn with draw.py: used by make_assets.py, never at run time."""

from __future__ import annotations

import draw
from draw import DUSK, GREY, MORNING, NIGHT, NOON, Canvas
from draw_house import Facade, door, house, window
from PIL import Image

COTTAGE = Facade((246, 240, 226), (92, 106, 120), (30, 92, 120), shutters=(70, 130, 150))


def cottage(c: Canvas, light: draw.Light) -> None:
    """The white cottage by the harbour; also the subject of the film and of the animation."""
    draw.sky(c, light, 190)
    draw.water(c, 178, 206, (70, 126, 160))
    for x, hull in ((46, (190, 60, 50)), (420, (40, 70, 120))):
        c.poly([(x - 22, 188), (x + 22, 188), (x + 15, 197), (x - 16, 197)], hull)
        c.line([(x, 188), (x, 142)], (110, 90, 70), 1.5)
        c.poly([(x + 2, 146), (x + 2, 184), (x + 20, 184)], (250, 246, 236))
    draw.lawn(c, 204)
    house(c, (140, 150, 330, 250), COTTAGE)
    draw.path(c, 235, 253)
    draw.bushes(c, 132, 218, 258, (80, 126, 60), (226, 110, 130))
    draw.bushes(c, 260, 345, 258, (80, 126, 60), (240, 214, 110))


def harbour_cottage() -> Image.Image:
    c = Canvas(1)
    cottage(c, NOON)
    return c.finish(NOON)


def brick_terrace() -> Image.Image:
    """A street of narrow brick houses."""
    c = Canvas(2)
    draw.sky(c, MORNING, 230, 0.6)
    c.gradient((0, 262, 480, 320), [(150, 146, 142), (112, 110, 110)])
    bricks = ((160, 82, 62), (182, 110, 80), (132, 66, 58), (196, 136, 96), (150, 92, 74))
    for n, wall in enumerate(bricks):
        x, top = n * 96 - 2, 104 + (n * 37) % 26
        look = Facade(wall, (76, 70, 74), ((40, 80, 70), (150, 40, 40), (40, 50, 90))[n % 3], 2, 3, n % 2 == 0, True)
        house(c, (x + 4, top, x + 92, 262), look)
    c.rect((0, 264, 480, 276), (190, 184, 176))
    c.line([(0, 278), (480, 278)], (130, 126, 122), 3)
    for x in (66, 262, 446):
        draw.tree(c, x, 272, 84, (120, 136, 54))
    return c.finish(MORNING)


def farmhouse() -> Image.Image:
    c = Canvas(3)
    draw.sky(c, NOON, 176)
    draw.hills(c, 178, (106, 146, 96), 48)
    draw.lawn(c, 176, (150, 142, 58), (206, 194, 104))
    for n in range(22):
        c.line([(n * 46 - 260, 320), (150 + n * 9, 178)], (150, 136, 56), 1)
    house(c, (60, 150, 190, 236), Facade((152, 44, 38), (110, 100, 96), (240, 236, 226), 2, 2, True))
    house(c, (214, 160, 400, 240), Facade((236, 226, 200), (168, 78, 52), (60, 96, 60), 4, shutters=(76, 112, 76)))
    draw.tree(c, 436, 250, 130)
    draw.tree(c, 26, 246, 104, (92, 130, 52))
    draw.path(c, 330, 244)
    return c.finish(NOON)


def modern_villa() -> Image.Image:
    """White boxes, much glass and a pool."""
    c = Canvas(4)
    draw.sky(c, NOON, 200, 0.4)
    draw.hills(c, 202, (96, 132, 120), 40)
    draw.lawn(c, 200, (86, 136, 74))
    draw.fir(c, 52, 226, 120)
    draw.fir(c, 86, 230, 90)
    c.soft([(110, 236), (440, 236), (450, 250), (110, 248)], (20, 30, 20), 0.5, 5)
    c.rect((190, 106, 400, 166), (244, 244, 242))
    c.rect((120, 166, 420, 240), (226, 224, 220))
    c.rect((120, 166, 190, 240), (150, 112, 78))
    for x in range(124, 190, 7):
        c.line([(x, 166), (x, 240)], (126, 90, 62), 1)
    c.rect((180, 98, 410, 107), (70, 72, 76))
    c.rect((112, 162, 430, 169), (70, 72, 76))
    for box in ((206, 116, 284, 158), (300, 116, 386, 158), (206, 178, 300, 238), (312, 178, 408, 238)):
        window(c, box, (60, 62, 66), 2)
    door(c, 156, 240, (60, 64, 70), (26, 54))
    c.poly([(170, 262), (432, 262), (470, 304), (130, 304)], (226, 220, 208))
    c.poly([(184, 268), (420, 268), (448, 298), (152, 298)], (70, 176, 200))
    c.soft([(200, 272), (300, 272), (270, 294), (180, 294)], (220, 248, 252), 0.5, 6)
    return c.finish(NOON)


def lake_cabin() -> Image.Image:
    c = Canvas(5)
    draw.sky(c, MORNING, 170)
    draw.hills(c, 172, (84, 110, 132), 88)
    for n in range(30):
        draw.fir(c, n * 17 - 4, 196 + (n * 7) % 9, 46 + (n * 29) % 44)
    draw.water(c, 226, 320, (64, 110, 134))
    c.gradient((0, 194, 480, 228), [(110, 140, 80), (90, 112, 66)])
    house(c, (190, 150, 300, 216), Facade((140, 96, 60), (80, 62, 52), (50, 84, 70), 3, 1, True))
    for y in range(154, 216, 6):
        c.line([(190, y), (300, y)], (112, 74, 46), 0.6)
    c.soft([(190, 240), (300, 240), (282, 290), (210, 290)], (96, 76, 58), 0.5, 8)
    c.poly([(310, 222), (340, 222), (400, 286), (352, 286)], (170, 136, 98))
    for n in range(7):
        c.line([(312 + n * 7, 226 + n * 9), (344 + n * 8.5, 226 + n * 9)], (130, 98, 68), 1)
    return c.finish(MORNING)


def dusk_bungalow() -> Image.Image:
    c = Canvas(6)
    draw.sky(c, DUSK, 206)
    draw.hills(c, 208, (90, 100, 110), 30)
    draw.lawn(c, 206)
    house(c, (90, 180, 370, 252), Facade((226, 206, 180), (112, 70, 62), (96, 44, 40), 5, 1))
    draw.path(c, 230, 256)
    draw.tree(c, 420, 262, 150)
    draw.bushes(c, 84, 206, 262, (76, 112, 60), (230, 170, 190))
    return c.finish(DUSK)


def tower_flat() -> Image.Image:
    """Two towers at night, most of their windows lit."""
    c = Canvas(7)
    draw.sky(c, NIGHT, 280, 0.5)
    for n in range(16):
        x, top = n * 32 - 8, 190 + (n * 47) % 60
        c.rect((x, top, x + 28, 290), (88, 92, 110))
    for x0, x1, top, wall in ((110, 220, 46, (176, 170, 164)), (262, 360, 90, (150, 156, 168))):
        c.rect((x0, top, x1, 296), wall)
        c.rect((x1 - 18, top, x1, 296), draw.mix(wall, (20, 20, 40), 0.35))
        for y in range(top + 12, 280, 20):
            for x in range(x0 + 8, x1 - 26, 19):
                c.rect((x, y, x + 12, y + 11), (70, 84, 100))
                if c.random.random() < 0.62:
                    c.windows.append((x, y, x + 12, y + 11))
            c.line([(x0, y + 14), (x1, y + 14)], draw.mix(wall, (40, 40, 60), 0.3), 1.5)
    c.gradient((0, 290, 480, 320), [(96, 110, 84), (70, 84, 62)])
    for x in (40, 236, 420):
        draw.tree(c, x, 304, 70)
    return c.finish(NIGHT)


def machiya() -> Image.Image:
    """A wooden town house with lattices and a blue-grey tiled roof."""
    c = Canvas(8)
    draw.sky(c, MORNING, 230, 0.5)
    draw.hills(c, 210, (90, 126, 110), 60)
    c.gradient((0, 252, 480, 320), [(176, 170, 160), (136, 132, 126)])
    for x0, y0, x1, y1 in ((110, 130, 370, 176), (90, 190, 390, 256)):
        c.rect((x0, y0, x1, y1), (120, 78, 50))
        c.rect((x0 + 10, y0 + 8, x1 - 10, y1), (70, 46, 34))
        c.windows.append((x0 + 10, y0 + 8, x1 - 10, y1))
        for x in range(x0 + 10, x1 - 10, 5):
            c.line([(x, y0 + 8), (x, y1)], (152, 104, 68), 1.6)
        c.poly([(x0 - 34, y0 + 6), (x0 + 6, y0 - 24), (x1 - 6, y0 - 24), (x1 + 34, y0 + 6)], (92, 102, 116))
        for x in range(x0 - 24, x1 + 30, 10):
            middle = 240 + (x - 240) * 0.86
            c.line([(middle, y0 - 24), (x, y0 + 6)], (70, 78, 92), 1.4)
        c.rect((x0 - 36, y0 + 4, x1 + 36, y0 + 9), (62, 66, 76))
    c.rect((214, 196, 270, 256), (232, 222, 200))
    for n in range(4):
        c.rect((216 + n * 13.5, 202, 228 + n * 13.5, 234), (40, 52, 96))
    draw.bushes(c, 66, 100, 268, (60, 110, 60))
    draw.tree(c, 428, 270, 110, (206, 120, 130))
    return c.finish(MORNING)


def timbered_mill() -> Image.Image:
    c = Canvas(9)
    draw.sky(c, GREY, 210, 0.7)
    draw.hills(c, 206, (96, 122, 90), 40)
    draw.lawn(c, 204)
    look = Facade((244, 234, 212), (150, 72, 50), (90, 52, 40), 3, 2, True, timber=True)
    house(c, (150, 150, 320, 250), look)
    draw.water(c, 262, 300, (86, 122, 124))
    c.ellipse((318, 196, 392, 270), (96, 70, 50))
    c.ellipse((328, 206, 382, 260), (150, 160, 150))
    for dx, dy in ((36, 0), (0, 36), (26, 26), (26, -26)):
        c.line([(355 - dx, 233 - dy), (355 + dx, 233 + dy)], (96, 70, 50), 4)
    draw.tree(c, 70, 256, 140)
    draw.bushes(c, 150, 220, 256, (80, 120, 60), (220, 60, 60))
    return c.finish(GREY)


def winter_chalet() -> Image.Image:
    c = Canvas(10)
    draw.sky(c, NOON, 190, 0.5)
    c.poly([(0, 190), (90, 60), (150, 120), (230, 30), (330, 140), (390, 90), (480, 190)], (150, 168, 190))
    for top, low in (((90, 60), 104), ((230, 30), 96), ((390, 90), 122)):
        x, y = top
        c.poly(
            [(x, y), (x + 34, low), (x + 14, low - 8), (x, low + 6), (x - 14, low - 8), (x - 32, low)], (250, 252, 255)
        )
    c.gradient((0, 184, 480, 320), [(222, 232, 244), (250, 252, 255)])
    c.texture((0, 184, 480, 320), (170, 190, 220), (9, 7), 0.4)
    for x, size in ((40, 120), (86, 92), (420, 130), (376, 90), (456, 100)):
        draw.fir(c, x, 236, size)
    look = Facade((150, 98, 60), (120, 80, 60), (100, 40, 30), 3, 2, True, shutters=(70, 100, 70), snow=True)
    house(c, (160, 156, 310, 252), look)
    for _ in range(90):
        left, up = c.random.uniform(0, 480), c.random.uniform(0, 320)
        c.ellipse((left, up, left + 2, up + 2), (255, 255, 255))
    return c.finish(NOON)


def old_school() -> Image.Image:
    """As in an old photograph: the caller makes it grey."""
    c = Canvas(11)
    draw.sky(c, GREY, 220)
    draw.lawn(c, 236)
    house(c, (60, 130, 420, 250), Facade((190, 120, 96), (70, 70, 76), (50, 50, 56), 7, 2, brick=True))
    c.rect((214, 60, 266, 132), (190, 120, 96))
    c.poly([(206, 62), (240, 24), (274, 62)], (70, 70, 76))
    c.ellipse((226, 72, 254, 100), (246, 244, 236))
    c.line([(240, 76), (240, 86), (247, 90)], (30, 30, 30), 1.5)
    draw.path(c, 240, 254)
    draw.tree(c, 30, 268, 130)
    draw.tree(c, 452, 268, 116)
    return c.finish(GREY)


def houseboat() -> Image.Image:
    c = Canvas(12)
    draw.sky(c, MORNING, 170, 0.7)
    for n in range(9):
        x, top = n * 56 - 12, 84 + (n * 31) % 34
        wall = ((150, 84, 66), (196, 160, 120), (110, 96, 96), (206, 186, 150))[n % 4]
        house(c, (x, top, x + 50, 196), Facade(wall, (90, 76, 72), (60, 50, 50), 2, 4, n % 3 == 0, True))
    c.rect((0, 192, 480, 206), (150, 144, 134))
    draw.water(c, 206, 320, (74, 104, 108))
    c.poly([(60, 234), (420, 234), (400, 268), (90, 268)], (40, 60, 76))
    c.rect((80, 232, 410, 238), (200, 60, 50))
    c.rect((120, 190, 360, 233), (236, 226, 200))
    c.rect((112, 184, 368, 192), (70, 110, 96))
    for x in range(134, 350, 36):
        window(c, (x, 200, x + 22, 220), (70, 110, 96))
    for x in (96, 108, 374, 388):
        draw.bushes(c, x, x + 8, 230, (90, 140, 70), (230, 120, 60), 7)
    c.soft([(90, 272), (400, 272), (380, 296), (120, 296)], (30, 40, 50), 0.5, 8)
    return c.finish(MORNING)
