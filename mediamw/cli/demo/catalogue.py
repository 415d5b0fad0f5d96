"""The demo's production database as data: the homes for sale, their media, and which asset file plays which key.

Many keys are awkward on purpose: names that people do give to files, with the characters a media server gets wrong
first (a space, a `+`, a `%`, a `?`, an accent written as two characters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["image", "video", "pdf", "audio", "text"]

ASSETS = Path(__file__).parent / "assets"

# By the key's extension, in lower case. Not from `mimetypes`, whose answer depends on the machine it runs on.
TYPES: dict[str, tuple[Kind, str]] = {
    ".jpg": ("image", "image/jpeg"),
    ".png": ("image", "image/png"),
    ".gif": ("image", "image/gif"),
    ".webp": ("image", "image/webp"),
    ".avif": ("image", "image/avif"),
    ".svg": ("image", "image/svg+xml"),
    ".webm": ("video", "video/webm"),
    ".mp4": ("video", "video/mp4"),
    ".ogg": ("audio", "audio/ogg"),
    ".pdf": ("pdf", "application/pdf"),
    ".csv": ("text", "text/csv; charset=utf-8"),
    ".txt": ("text", "text/plain; charset=utf-8"),
}


@dataclass(frozen=True)
class MediaFile:
    """A row of the media table. `asset` is None when nobody has the file; `local` when the developer has a copy."""

    key: str
    asset: str | None
    alt: str
    local: bool = False

    @property
    def suffix(self) -> str:
        return self.key[self.key.rindex(".") :].lower()

    @property
    def kind(self) -> Kind:
        return TYPES[self.suffix][0]

    @property
    def content_type(self) -> str:
        return TYPES[self.suffix][1]


@dataclass(frozen=True)
class Home:
    """A home for sale; the price is in euro."""

    id: int
    title: str
    town: str
    price: int
    media: tuple[MediaFile, ...]


LONG_NAME = "-".join(["the pond behind the bungalow", *["seen once more from a little further away"] * 4]) + ".jpg"

HOMES: tuple[Home, ...] = (
    Home(
        42,
        "Harbour cottage",
        "St Ives",
        450_000,
        (
            MediaFile(
                "homes/42/harbour cottage.jpg", "harbour-cottage.jpg", "A white cottage above the bay", local=True
            ),
            MediaFile("homes/42/living room.jpg", "living-green.jpg", "Living room with a green sofa"),
            MediaFile("homes/42/a day in ten seconds.webm", "day.webm", "The cottage from morning to night"),
            MediaFile("homes/42/dawn chorus.ogg", "dawn.ogg", "What the birds sound like at five in the morning"),
        ),
    ),
    Home(
        3,
        "Houseboat on the old canal",
        "Utrecht",
        385_000,
        (
            MediaFile("homes/3/front.jpg", "houseboat.jpg", "A houseboat before a row of canal houses", local=True),
            MediaFile("homes/3/2+1 rooms.jpg", "nursery.jpg", "The third room, with toys on a rug"),
            MediaFile("homes/3/galley + stove.jpg", "kitchen-blue.jpg", "The galley, blue cupboards and an island"),
        ),
    ),
    Home(
        5,
        "White villa with a pool",
        "Aveiro",
        890_000,
        (
            MediaFile("homes/5/villa.jpg", "modern-villa.jpg", "A white villa of two storeys and a pool", local=True),
            MediaFile("homes/5/100%.png", "energy-badge.png", "Badge: 100% renewable energy"),
            MediaFile("homes/5/50%25 off.svg", "fee-sticker.svg", "Sticker: 50% off our fee"),
            MediaFile("homes/5/Villa, the brochure (final).pdf", "brochure.pdf", "Brochure of the villa, one page"),
        ),
    ),
    Home(
        7,
        "The timbered mill",
        "Quedlinburg",
        345_000,
        (
            MediaFile("homes/7/mill.jpg", "timbered-mill.jpg", "A half-timbered mill and its wheel", local=True),
            MediaFile("homes/7/Küche.jpg", "kitchen-white.jpg", "The kitchen, white with a dark worktop"),
            MediaFile("homes/7/Dachgeschoß — Süd.jpg", "attic.jpg", "The attic, photographed upright"),
        ),
    ),
    Home(
        9,
        "Machiya by the river",
        "京都",
        412_000,
        (
            MediaFile("homes/9/front.jpg", "machiya.jpg", "A wooden town house and a cherry tree"),
            MediaFile("homes/9/居間.png", "tatami.png", "A room with mats and paper screens"),
        ),
    ),
    Home(
        11,
        "The old school",
        "Ludlow",
        640_000,
        (
            MediaFile(
                "homes/11/school in 1911.jpg", "old-school.jpg", "The school in an old grey photograph", local=True
            ),
            MediaFile("homes/11/owner's study.jpg", "study.jpg", "The study, with a wall of books"),
            MediaFile('homes/11/"The Den".jpg', "living-rust.jpg", "The den, with a rust-red sofa"),
        ),
    ),
    Home(
        12,
        "Four flats in Bootham Row",
        "York",
        525_000,
        (
            MediaFile("homes/12/street.jpg", "brick-terrace.jpg", "A terrace of brick houses", local=True),
            MediaFile("homes/12/bed & breakfast.jpg", "bedroom-sand.jpg", "A bedroom in sand colours"),
            MediaFile("homes/12/flat #4.jpg", "hall.jpg", "The stairs up to flat 4"),
        ),
    ),
    Home(
        16,
        "Flat over the bay",
        "Cassis",
        470_000,
        (
            # Both accents decomposed (NFD), as macOS used to name files: e followed by U+0301, a by U+0300.
            MediaFile("homes/16/l'e\u0301te\u0301 a\u0300 la mer.jpg", "balcony-sea.jpg", "The sea from the balcony"),
            MediaFile("homes/16/chambre; nuit.jpg", "bedroom-night.jpg", "The bedroom at night"),
        ),
    ),
    Home(
        23,
        "Eleventh floor with a view",
        "Rotterdam",
        298_000,
        (
            MediaFile("homes/23/tower.jpg", "tower-flat.jpg", "Two towers at night, windows lit"),
            MediaFile("homes/23/lights on?.jpg", "living-night.jpg", "The living room by the light of one lamp"),
            MediaFile("homes/23/\U0001f307 roof terrace.webp", "roof-terrace.webp", "Sunset from the roof terrace"),
        ),
    ),
    Home(
        28,
        "Cabin on the lake",
        "Tampere",
        165_000,
        (
            MediaFile("homes/28/IMG_0042.JPG", "lake-cabin.jpg", "A log cabin with a jetty", local=True),
            MediaFile("homes/28/~draft~ plan.png", "plan-upper.png", "Plan of the upper floor, a draft"),
        ),
    ),
    Home(
        31,
        "Farm with two barns",
        "Odense",
        580_000,
        (
            MediaFile("homes/31/farm.jpg", "farmhouse.jpg", "A farmhouse and a red barn in the corn", local=True),
            MediaFile("homes/31/plan (ground), v2.svg", "plan-ground.svg", "Plan of the ground floor"),
            MediaFile("homes/31/plan=before:after@1.5!.gif", "plan-furnished.gif", "The plan, furnished room by room"),
        ),
    ),
    Home(
        58,
        "Bungalow and orchard",
        "Almería",
        315_000,
        (
            MediaFile("homes/58/dusk.jpg", "dusk-bungalow.jpg", "A bungalow at dusk, its windows lit", local=True),
            MediaFile("homes/58/garden <after>.jpg", "terrace.jpg", "The terrace under lanterns"),
            MediaFile("homes/58/[1] orchard*.jpg", "orchard.jpg", "Apple trees in the morning"),
            MediaFile(f"homes/58/{LONG_NAME}", "garden-pond.jpg", "The pond and its water lilies"),
        ),
    ),
    Home(
        64,
        "Chalet under the peaks",
        "Zermatt",
        1_250_000,
        (
            MediaFile("homes/64/CHALET.JPG", "winter-chalet.jpg", "A chalet in the snow"),
            MediaFile("homes/64/salle de bain.jpg", "bathroom.jpg", "The bathroom, with a standing bath"),
            MediaFile("homes/64/a short visit.mp4", "tour.mp4", "A short visit to four rooms"),
        ),
    ),
    Home(
        77,
        "Loft in the cotton mill",
        "Łódź",
        240_000,
        (
            MediaFile(
                "homes/77/2024/06/14/shoot-03/edited/large/north/loft.avif", "loft.avif", "Brick walls, tall panes"
            ),
            # In the database, in no bucket and on no disk: every real dump holds a few of these.
            MediaFile("homes/77/the view from the crane.jpg", None, "A photograph that was never uploaded"),
        ),
    ),
)

SITE_MEDIA: tuple[MediaFile, ...] = (
    MediaFile("site/logo.svg", "logo.svg", "Homes, estate agents", local=True),
    MediaFile("site/prices/Price list (€), spring.csv", "price-list.csv", "All prices, as a table"),
    MediaFile("site/terms & conditions.txt", "terms.txt", "Terms and conditions"),
)


def all_media() -> Iterator[tuple[int | None, MediaFile]]:
    """Every row of the media table: the id of its home, or None for the site's own files, and the file."""
    for home in HOMES:
        for file in home.media:
            yield home.id, file
    for file in SITE_MEDIA:
        yield None, file


def sql_dump() -> str:
    """The "production dump": a script for `sqlite3.Connection.executescript`."""
    lines = [
        "-- Homes: nightly dump of the production database. The media files are in the bucket, not in here.",
        "BEGIN TRANSACTION;",
        "CREATE TABLE homes (",
        "    id INTEGER PRIMARY KEY,",
        "    title TEXT NOT NULL,",
        "    town TEXT NOT NULL,",
        "    price INTEGER NOT NULL",
        ");",
        "CREATE TABLE media (",
        "    id INTEGER PRIMARY KEY,",
        "    home_id INTEGER REFERENCES homes (id),  -- NULL for the files of the site itself",
        "    key TEXT NOT NULL UNIQUE,",
        "    alt TEXT NOT NULL,",
        "    kind TEXT NOT NULL CHECK (kind IN ('image', 'video', 'pdf', 'audio', 'text'))",
        ");",
    ]
    lines += [_insert("homes", home.id, home.title, home.town, home.price) for home in HOMES]
    lines += [
        _insert("media", number, home_id, file.key, file.alt, file.kind)
        for number, (home_id, file) in enumerate(all_media(), 1)
    ]
    return "\n".join([*lines, "COMMIT;", ""])


def _insert(table: str, *values: int | str | None) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join(map(_literal, values))});"  # noqa: S608 - a dump, never a query


def _literal(value: int | str | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
