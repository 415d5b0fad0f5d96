"""What of the demo's media needs no picture library: the SVGs, the texts, the PDF, the birdsong. See make_assets.py."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A room on a floor plan of 420 by 300."""

    name: str
    x: int
    y: int
    width: int
    height: int
    colour: str


GROUND = (
    Room("Living", 20, 20, 180, 150, "#dfe9d6"),
    Room("Kitchen", 200, 20, 200, 110, "#f5e3c6"),
    Room("Hall", 200, 130, 90, 150, "#e8e2ee"),
    Room("Study", 20, 170, 180, 110, "#dbe6ef"),
    Room("Bath", 290, 130, 110, 150, "#cfe8e6"),
)
UPPER = (
    Room("Main bedroom", 20, 20, 210, 140, "#f1ddd0"),
    Room("Nursery", 230, 20, 170, 140, "#f7edc3"),
    Room("Landing", 20, 160, 150, 120, "#e8e2ee"),
    Room("Shower", 170, 160, 90, 120, "#cfe8e6"),
    Room("Guests", 260, 160, 140, 120, "#dfe9d6"),
)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" font-family="sans-serif">'

PRICES = """home,town,price,bedrooms
Houseboat on the old canal,Utrecht,385000,2
White villa with a pool,Aveiro,890000,4
The timbered mill,Quedlinburg,345000,3
Machiya by the river,京都,412000,3
The old school,Ludlow,640000,6
Four flats in Bootham Row,York,525000,4
Flat over the bay,Cassis,470000,2
Eleventh floor with a view,Rotterdam,298000,1
Cabin on the lake,Tampere,165000,1
Farm with two barns,Odense,580000,5
Harbour cottage,St Ives,450000,3
Bungalow and orchard,Almería,315000,3
Chalet under the peaks,Zermatt,1250000,4
Loft in the cotton mill,Łódź,240000,1
"""

TERMS = """Homes - terms and conditions

1. Every home on these pages is made up, and so is every price.
2. The pictures were drawn by a program. No estate agent was harmed.
3. A viewing is by appointment only; bring your own ladder for the attic.
"""


def plan() -> str:
    parts = [SVG.format(420, 300), "<title>Ground floor</title>", '<rect width="420" height="300" fill="#fcfaf4"/>']
    for room in GROUND:
        box = f'x="{room.x}" y="{room.y}" width="{room.width}" height="{room.height}"'
        parts.append(f'<rect {box} fill="{room.colour}" stroke="#3c4650" stroke-width="5"/>')
        middle = f'x="{room.x + room.width // 2}" y="{room.y + room.height // 2}"'
        parts.append(f'<text {middle} font-size="15" fill="#3c4650" text-anchor="middle">{room.name}</text>')
        size = f"{room.width * 0.025:.1f} x {room.height * 0.025:.1f} m"
        below = f'x="{room.x + room.width // 2}" y="{room.y + room.height // 2 + 17}"'
        parts.append(f'<text {below} font-size="11" fill="#6c7680" text-anchor="middle">{size}</text>')
    doors = ((110, 170), (225, 130), (200, 264), (290, 256), (245, 280))
    for x, y in doors:
        # A leaf standing open and the quarter circle it sweeps.
        parts.append(f'<path d="M{x} {y}v-26a26 26 0 0 1 26 26z" fill="#ffffff" stroke="#8a6a50" stroke-width="1.5"/>')
    for x, y, width, height in ((60, 18, 90, 5), (250, 18, 110, 5), (18, 200, 5, 60), (397, 170, 5, 70)):
        parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#8ec4e8"/>')
    return "\n".join([*parts, "</svg>", ""])


def logo() -> str:
    return "\n".join(
        [
            SVG.format(250, 80),
            "<title>Homes</title>",
            '<path d="M8 44 44 12 80 44" fill="none" stroke="#c8553d" stroke-width="9" stroke-linejoin="round"/>',
            '<path d="M18 44v26h20V52h12v18h20V44L44 21z" fill="#2f4858"/>',
            '<circle cx="44" cy="40" r="5" fill="#f2c14e"/>',
            '<text x="94" y="56" font-size="40" font-weight="bold" textLength="144" lengthAdjust="spacingAndGlyphs" '
            'fill="#2f4858">Homes</text>',
            "</svg>",
            "",
        ]
    )


def sticker() -> str:
    points = []
    for n in range(36):
        radius = 96 if n % 2 else 84
        points.append(
            f"{100 + radius * math.cos(n * math.pi / 18):.1f},{100 + radius * math.sin(n * math.pi / 18):.1f}"
        )
    return "\n".join(
        [
            SVG.format(200, 200),
            "<title>Half off our fee</title>",
            f'<polygon points="{" ".join(points)}" fill="#d9483b"/>',
            '<circle cx="100" cy="100" r="74" fill="none" stroke="#ffe9b8" stroke-width="3"/>',
            '<g fill="#ffffff" font-weight="bold" text-anchor="middle" transform="rotate(-10 100 100)">',
            '<text x="100" y="106" font-size="50">50%</text>',
            '<text x="100" y="136" font-size="22">off our fee</text>',
            "</g></svg>",
            "",
        ]
    )


def texts() -> dict[str, str]:
    return {
        "plan-ground.svg": plan(),
        "logo.svg": logo(),
        "fee-sticker.svg": sticker(),
        "price-list.csv": PRICES,
        "terms.txt": TERMS,
    }


def brochure(cover: bytes, size: tuple[int, int]) -> bytes:
    """One A4 page with a JPEG as it is (PDF knows the format) and text in the two fonts every reader has."""
    lines = (
        (26, 48, 786, "White villa with a pool"),
        (13, 48, 762, "Aveiro - four bedrooms - 240 square metres - 890 000 euro"),
        (12, 48, 372, "Two white volumes under deep eaves, set back from the road behind two old firs."),
        (12, 48, 354, "The living room opens over its whole width to the terrace and the pool; the sun"),
        (12, 48, 336, "on the roof heats both, and everything else in the house besides."),
        (12, 48, 300, "Ground floor: living room, kitchen, hall, study, bath"),
        (12, 48, 282, "Upper floor: main bedroom, nursery, guest room, shower"),
        (12, 48, 264, "Energy: 100 % renewable, with a battery in the cellar"),
        (10, 48, 60, "Homes, estate agents. A made-up brochure for a made-up house."),
    )
    text = "\n".join(f"BT /F{2 if pt > 20 else 1} {pt} Tf {x} {y} Td ({line}) Tj ET" for pt, x, y, line in lines)
    width, height = 499, round(499 * size[1] / size[0])
    rule = "0.78 0.33 0.24 RG 3 w 48 90 m 547 90 l S"
    page = f"q {width} 0 0 {height} 48 {746 - height} cm /Im1 Do Q\n{rule}\n0.18 0.28 0.35 rg\n{text}\n".encode("ascii")
    image = f"/Type /XObject /Subtype /Image /Width {size[0]} /Height {size[1]} /ColorSpace /DeviceRGB"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>"
    resources = "/Resources << /Font << /F1 5 0 R /F2 6 0 R >> /XObject << /Im1 7 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R {resources} >>".encode("ascii"),
        b"<< /Length %d >>\nstream\n" % len(page) + page + b"endstream",
        font.format("Helvetica").encode("ascii"),
        font.format("Helvetica-Bold").encode("ascii"),
        f"<< {image} /BitsPerComponent 8 /Filter /DCTDecode /Length {len(cover)} >>\nstream\n".encode("ascii")
        + cover
        + b"\nendstream",
        b"<< /Title (White villa with a pool) /Author (Homes) >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 8 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def birdsong(seconds: int = 6, rate: int = 48000) -> Iterator[bytes]:
    """Two birds at dawn: short gliding whistles over a little wind, as signed 16-bit samples."""
    rng = random.Random(5)
    sound = [0.0] * (seconds * rate)
    wind = 0.0
    for n in range(len(sound)):
        wind = wind * 0.985 + rng.uniform(-1, 1) * 0.015
        sound[n] = wind * 0.12
    start = 0.3
    while start < seconds - 0.6:
        pitch = rng.choice((2600.0, 3400.0))
        for _ in range(rng.randint(2, 5)):
            length, glide, phase = rng.uniform(0.06, 0.14), rng.uniform(-900, 1200), 0.0
            steps = round(length * rate)
            for n in range(min(steps, len(sound) - round(start * rate))):
                phase += 2 * math.pi * (pitch + glide * n / steps) / rate
                sound[round(start * rate) + n] += math.sin(phase) * math.sin(math.pi * n / steps) ** 2 * 0.4
            start += length + rng.uniform(0.02, 0.07)
        start += rng.uniform(0.2, 0.6)
    samples = array("h", (round(max(-1.0, min(1.0, value)) * 30000) for value in sound))
    yield samples.tobytes()
