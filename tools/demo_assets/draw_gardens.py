"""The demo's gardens, terraces and balconies, drawn with draw.py: used by make_assets.py, never at run time."""

from __future__ import annotations

import draw
from draw import DUSK, MORNING, NOON, Canvas
from PIL import Image


def garden_pond() -> Image.Image:
    c = Canvas(13)
    draw.sky(c, NOON, 110)
    draw.lawn(c, 108)
    for n in range(9):
        draw.tree(c, n * 60 + 4, 140, 96 + (n * 23) % 40, ((70, 118, 52), (110, 140, 60), (60, 104, 70))[n % 3])
    c.ellipse((84, 186, 410, 292), (150, 146, 136))
    c.ellipse((94, 192, 400, 286), (62, 112, 122))
    c.soft([(140, 204), (330, 204), (290, 230), (170, 230)], (200, 230, 236), 0.7, 12)
    for _ in range(13):
        x, y = c.random.uniform(130, 350), c.random.uniform(220, 270)
        c.ellipse((x, y, x + 22, y + 9), (86, 146, 84))
        c.ellipse((x + 8, y - 3, x + 15, y + 3), (246, 196, 210))
    draw.bushes(c, 20, 120, 300, (70, 120, 60), (160, 110, 200))
    draw.bushes(c, 372, 470, 304, (76, 124, 60), (246, 206, 90))
    return c.finish(NOON)


def terrace() -> Image.Image:
    """A terrace laid for four, lanterns in the trees."""
    c = Canvas(14)
    draw.sky(c, DUSK, 170)
    draw.lawn(c, 166)
    for n in range(8):
        draw.tree(c, n * 66 + 10, 190, 110, (66, 106, 60))
    c.gradient((0, 226, 480, 320), [(196, 160, 124), (150, 114, 84)])
    for n in range(13):
        c.line([(240 + (n - 6) * 34, 226), (240 + (n - 6) * 74, 320)], (120, 88, 64), 1)
    c.poly([(150, 236), (330, 236), (350, 256), (130, 256)], (240, 232, 214))
    for x in (140, 336):
        c.rect((x, 256, x + 5, 300), (90, 66, 50))
    for x in (90, 366):
        c.rect((x, 220, x + 30, 262), (110, 80, 60), 4)
        c.rect((x - 2, 262, x + 32, 270), (190, 90, 80), 3)
    for x in (190, 236, 282):
        c.ellipse((x, 240, x + 22, 249), (250, 250, 250))
    c.line([(0, 90), (120, 128), (240, 136), (360, 128), (480, 90)], (60, 50, 50), 1)
    for x, y in ((60, 110), (120, 128), (180, 133), (240, 136), (300, 133), (360, 128), (420, 110)):
        c.windows.append((x - 5, y, x + 5, y + 12))
    return c.finish(DUSK)


def balcony_sea() -> Image.Image:
    c = Canvas(15)
    draw.sky(c, NOON, 150, 0.6)
    draw.water(c, 146, 250, (32, 110, 156))
    for x in (120, 290, 350):
        c.poly([(x, 150 + x % 17), (x, 128 + x % 17), (x + 11, 149 + x % 17)], (255, 255, 255))
    c.gradient((0, 250, 480, 320), [(214, 190, 160), (184, 158, 128)])
    c.rect((0, 196, 480, 202), (240, 240, 238))
    for x in range(6, 480, 16):
        c.line([(x, 200), (x, 258)], (240, 240, 238), 2)
    c.rect((0, 256, 480, 261), (240, 240, 238))
    c.poly([(60, 300), (80, 246), (90, 246), (80, 292), (150, 292), (156, 304)], (226, 120, 70))
    draw.bushes(c, 356, 440, 276, (70, 130, 80), (236, 70, 120), 14)
    c.poly([(340, 276), (450, 276), (438, 308), (352, 308)], (196, 104, 72))
    return c.finish(NOON)


def orchard() -> Image.Image:
    c = Canvas(16)
    draw.sky(c, MORNING, 150)
    draw.hills(c, 152, (110, 140, 110), 40)
    draw.lawn(c, 150)
    for row, (base, size) in enumerate(((180, 66), (216, 98), (276, 150))):
        for n in range(6 - row):
            x = 40 + n * (84 + row * 26) - row * 16
            draw.tree(c, x, base, size, (96, 134, 60))
            for _ in range(16):
                px, py, r = x + c.random.gauss(0, size * 0.16), base - size * c.random.uniform(0.48, 0.86), size * 0.018
                c.ellipse((px - r, py - r, px + r, py + r), (206, 50, 46))
    return c.finish(MORNING)


def roof_terrace() -> Image.Image:
    """Above the roofs at sunset; saved as WebP."""
    c = Canvas(17)
    draw.sky(c, DUSK, 230)
    for n in range(20):
        x, top = n * 26 - 6, 160 + (n * 41) % 56
        c.rect((x, top, x + 24, 260), draw.mix((120, 96, 116), (70, 60, 84), (n % 5) / 5))
        for y in range(top + 6, 244, 11):
            if c.random.random() < 0.4:
                c.windows.append((x + 5, y, x + 10, y + 5))
    c.gradient((0, 250, 480, 320), [(170, 130, 110), (128, 92, 78)])
    c.rect((0, 226, 480, 232), (90, 70, 74))
    for x in range(0, 480, 22):
        c.rect((x, 226, x + 3, 262), (90, 70, 74))
    c.rect((150, 262, 330, 284), (224, 200, 180), 5)
    c.rect((150, 244, 330, 266), (204, 176, 160), 6)
    draw.bushes(c, 40, 110, 280, (80, 110, 70), size=16)
    draw.bushes(c, 380, 450, 280, (80, 110, 70), (250, 200, 120), 16)
    return c.finish(DUSK)
