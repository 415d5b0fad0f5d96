"""The demo's media files are what they are called, small, all used, and its dump loads."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mediamw.cli.demo import catalogue
from mediamw.cli.demo.catalogue import ASSETS, HOMES, TYPES, MediaFile, all_media, sql_dump

FILES = sorted(path for path in ASSETS.iterdir() if path.is_file())
ROWS = [file for _, file in all_media()]

MAGIC: dict[str, re.Pattern[bytes]] = {
    ".jpg": re.compile(rb"\xff\xd8\xff.*\xff\xd9\Z", re.DOTALL),
    ".png": re.compile(rb"\x89PNG\r\n\x1a\n.*IEND\xaeB`\x82\Z", re.DOTALL),
    ".gif": re.compile(rb"GIF89a.*;\Z", re.DOTALL),
    ".webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    ".avif": re.compile(rb"....ftypavif", re.DOTALL),
    ".svg": re.compile(rb"<svg xmlns=.*</svg>\n\Z", re.DOTALL),
    ".webm": re.compile(rb"\x1aE\xdf\xa3.{0,40}webm", re.DOTALL),
    ".mp4": re.compile(rb"....ftyp", re.DOTALL),
    ".ogg": re.compile(rb"OggS.{24}OpusHead", re.DOTALL),
    ".pdf": re.compile(rb"%PDF-1\.4\n.*%%EOF\n\Z", re.DOTALL),
    ".csv": re.compile(rb"home,town,price,bedrooms\n"),
    ".txt": re.compile(rb"Homes - terms"),
}


def test_every_asset_exists_and_is_used_once() -> None:
    named = [file.asset for file in ROWS if file.asset is not None]
    assert sorted(named) == [path.name for path in FILES]


def test_names_are_plain_and_the_folder_is_small() -> None:
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.[a-z0-9]+", path.name) for path in FILES)
    assert sum(path.stat().st_size for path in FILES) < 900_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_asset_is_what_its_extension_says(path: Path) -> None:
    assert MAGIC[path.suffix].match(path.read_bytes())


@pytest.mark.parametrize("file", ROWS, ids=lambda file: ascii(file.key))
def test_a_key_is_awkward_but_legal(file: MediaFile) -> None:
    segments = file.key.split("/")
    assert all(segment and not segment.startswith(".") for segment in segments)
    assert "\\" not in file.key
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Cn") for letter in file.key)
    # 255 bytes is what a file system takes for a name, 1024 what S3 takes for a key.
    assert all(len(segment.encode()) <= 255 for segment in segments)
    assert len(file.key.encode()) <= 1024
    assert file.alt
    if file.asset is not None:
        assert file.suffix == Path(file.asset).suffix
    assert file.suffix in TYPES


def test_keys_differ_even_for_a_file_system_that_folds_case_and_accents() -> None:
    keys = [file.key for file in ROWS]
    assert len({unicodedata.normalize("NFC", key).casefold() for key in keys}) == len(keys)
    # And none is a folder of another.
    folders = {"/".join(key.split("/")[:n]) for key in keys for n in range(1, key.count("/") + 1)}
    assert not folders & set(keys)


def test_the_keys_hold_every_character_worth_showing() -> None:
    keys = "\n".join(file.key for file in ROWS)
    assert not [letter for letter in " +%'\"&#?~(),;=@!:*[]<>" if letter not in keys]
    assert not unicodedata.is_normalized("NFC", keys)
    assert "ü" in keys
    assert "居" in keys
    assert any(ord(letter) > 0xFFFF for letter in keys)
    assert ".JPG" in keys


def test_some_are_local_most_only_in_production_and_one_is_nowhere() -> None:
    local = [file for file in ROWS if file.local]
    assert 8 <= len(local) <= 12
    assert len(local) * 3 < len(ROWS)
    missing = [file for file in ROWS if file.asset is None]
    assert [file.local for file in missing] == [False]
    assert {file.kind for file in ROWS} == {"image", "video", "pdf", "audio", "text"}


def test_the_dump_loads_and_holds_the_catalogue() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.executescript(sql_dump())
        homes = database.execute("SELECT id, title, town, price FROM homes").fetchall()
        assert sorted(homes) == sorted((home.id, home.title, home.town, home.price) for home in HOMES)
        media = database.execute("SELECT home_id, key, alt, kind FROM media ORDER BY id").fetchall()
        assert media == [(home_id, file.key, file.alt, file.kind) for home_id, file in all_media()]


def test_the_price_list_agrees_with_the_catalogue() -> None:
    rows = [line.split(",") for line in (ASSETS / "price-list.csv").read_text("utf-8").splitlines()[1:]]
    assert sorted((row[0], row[1], int(row[2])) for row in rows) == sorted((h.title, h.town, h.price) for h in HOMES)


def jpeg_segments(name: str) -> dict[int, bytes]:
    """The segments of a JPEG before its picture data, by marker."""
    data, place, found = (ASSETS / name).read_bytes(), 2, {}
    while data[place + 1] != 0xDA:
        size = int.from_bytes(data[place + 2 : place + 4], "big")
        found[data[place + 1]] = data[place + 4 : place + 2 + size]
        place += 2 + size
    return found


def test_the_jpegs_are_of_every_sort() -> None:
    assert 0xC0 in jpeg_segments("harbour-cottage.jpg")  # baseline
    assert 0xC2 in jpeg_segments("living-rust.jpg")  # progressive
    assert jpeg_segments("old-school.jpg")[0xC0][5] == 1  # one component: grey
    exif = jpeg_segments("attic.jpg")[0xE1]
    assert re.match(rb"Exif\0\0MM\0\x2a.*\x01\x12\0\x03\0\0\0\x01\0\x06", exif, re.DOTALL)  # Orientation 6


def test_the_pngs_are_of_every_sort() -> None:
    sorts = {name: (ASSETS / name).read_bytes()[25] for name in ("tatami.png", "plan-upper.png", "energy-badge.png")}
    assert sorts == {"tatami.png": 2, "plan-upper.png": 3, "energy-badge.png": 6}  # RGB, palette, RGB and alpha
    for name in sorts:
        data, place = (ASSETS / name).read_bytes(), 8
        while place < len(data):
            end = place + 8 + int.from_bytes(data[place : place + 4], "big")
            assert zlib.crc32(data[place + 4 : end]) == int.from_bytes(data[end : end + 4], "big")
            place = end + 4


def test_the_gif_moves() -> None:
    assert (ASSETS / "plan-furnished.gif").read_bytes().count(b"\x21\xf9\x04") >= 4


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".svg"], ids=lambda path: path.name)
def test_an_svg_needs_no_script_and_no_other_file(path: Path) -> None:
    # A strict Content-Security-Policy or a sandboxing header must not change how it looks.
    for element in ElementTree.fromstring(path.read_text("utf-8")).iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in {
            *("svg", "title", "g", "rect", "circle", "path", "polygon", "text")
        }
        assert not [name for name in element.attrib if name.startswith("on") or name.endswith("href")]


def test_the_pdf_says_where_its_objects_are() -> None:
    data = (ASSETS / "brochure.pdf").read_bytes()
    table = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    assert data[table:].startswith(b"xref\n0 ")
    places = re.findall(rb"^(\d{10}) 00000 n $", data[table:], re.MULTILINE)
    assert len(places) == data.count(b"\nendobj\n")
    for number, place in enumerate(places, 1):
        assert data[int(place) :].startswith(b"%d 0 obj\n" % number)


def ebml(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements of a stretch of Matroska: each one's id, and where its contents begin and end."""
    while place < end:
        width = 9 - data[place].bit_length()
        name = int.from_bytes(data[place : place + width], "big")
        place += width
        width = 9 - data[place].bit_length()
        size = int.from_bytes(data[place : place + width], "big") & ((1 << 7 * width) - 1)
        place += width
        yield name, place, place + size
        place += size


def test_the_webm_has_its_index_in_front_so_that_a_browser_can_seek() -> None:
    segment, cues, cluster, cue_point = 0x18538067, 0x1C53BB6B, 0x1F43B675, 0xBB
    data = (ASSETS / "day.webm").read_bytes()
    ((start, end),) = [(start, end) for name, start, end in ebml(data, 0, len(data)) if name == segment]
    assert end == len(data)
    parts = list(ebml(data, start, end))
    names = [name for name, _, _ in parts]
    assert names.index(cues) < names.index(cluster)
    _, start, end = parts[names.index(cues)]
    assert sum(name == cue_point for name, _, _ in ebml(data, start, end)) >= 8


def test_the_mp4_has_its_index_in_front() -> None:
    data = (ASSETS / "tour.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_catalogue_stands_alone() -> None:
    # The demo starts from it without Pillow or any of the drawing modules.
    assert "PIL" not in vars(catalogue)
    assert not re.search(
        r"^(from|import) .*(PIL|draw|make_)", Path(catalogue.__file__).read_text("utf-8"), re.MULTILINE
    )
