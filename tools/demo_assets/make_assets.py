"""Makes the demo's media files, the ones committed in assets/. Needed again only to change them.

Needs Pillow with WebP and AVIF (`pip install "pillow>=11.3"`), ffmpeg with libvpx, libx264 and libopus, and the DejaVu
fonts (`apt-get install ffmpeg fonts-dejavu-core`). Run it from the root of the source tree:

    python tools/demo_assets/make_assets.py            # into mediamw/cli/demo/assets
    python tools/demo_assets/make_assets.py /tmp/out   # or elsewhere

The same names come out every time, and with the same versions of the encoders the same bytes.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import draw
import draw_gardens
import draw_inside
import draw_outside
import make_documents
from draw import DUSK, MORNING, NIGHT, NOON, Canvas
from draw_inside import LATE
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ASSETS = Path(__file__).parents[2] / "mediamw/cli/demo/assets"

FPS = 25

# fmt: off
PHOTOS: dict[str, Callable[[], Image.Image]] = {
    "harbour-cottage.jpg": draw_outside.harbour_cottage,
    "brick-terrace.jpg": draw_outside.brick_terrace,
    "farmhouse.jpg": draw_outside.farmhouse,
    "modern-villa.jpg": draw_outside.modern_villa,
    "lake-cabin.jpg": draw_outside.lake_cabin,
    "dusk-bungalow.jpg": draw_outside.dusk_bungalow,
    "tower-flat.jpg": draw_outside.tower_flat,
    "machiya.jpg": draw_outside.machiya,
    "timbered-mill.jpg": draw_outside.timbered_mill,
    "winter-chalet.jpg": draw_outside.winter_chalet,
    "houseboat.jpg": draw_outside.houseboat,
    "garden-pond.jpg": draw_gardens.garden_pond,
    "terrace.jpg": draw_gardens.terrace,
    "balcony-sea.jpg": draw_gardens.balcony_sea,
    "orchard.jpg": draw_gardens.orchard,
    "roof-terrace.webp": draw_gardens.roof_terrace,
    "living-green.jpg": partial(draw_inside.living, 21, (206, 216, 200), (80, 120, 104), (206, 150, 80)),
    "living-night.jpg": partial(draw_inside.living, 23, (150, 160, 180), (70, 76, 110), (226, 190, 120), LATE),
    "kitchen-blue.jpg": partial(draw_inside.kitchen, 24, (236, 234, 226), (70, 104, 140), (120, 90, 66), True),
    "kitchen-white.jpg": partial(draw_inside.kitchen, 25, (226, 232, 220), (238, 236, 230), (70, 72, 76), False),
    "bedroom-sand.jpg": partial(draw_inside.bedroom, 26, (236, 222, 196), (206, 170, 130)),
    "bedroom-night.jpg": partial(draw_inside.bedroom, 27, (120, 126, 160), (90, 80, 140), LATE),
    "bathroom.jpg": draw_inside.bathroom,
    "study.jpg": draw_inside.study,
    "hall.jpg": draw_inside.hall,
    "nursery.jpg": draw_inside.nursery,
    "tatami.png": draw_inside.tatami,
    "loft.avif": draw_inside.loft,
}
# fmt: on


def font(size: int, bold: bool = True) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)


def photos(out: Path) -> None:
    for name, make in PHOTOS.items():
        make().save(out / name, quality=70, optimize=True)  # a format passes over an option that is not its own
    # One of each kind that a server has been known to trip over, or a browser to show wrongly.
    rust = draw_inside.living(22, (240, 226, 206), (190, 96, 66), (60, 96, 110), draw_inside.WARM)
    rust.save(out / "living-rust.jpg", quality=70, progressive=True, optimize=True)
    draw_outside.old_school().convert("L").save(out / "old-school.jpg", quality=66, optimize=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn a quarter clockwise to see it upright
    exif[0x010F], exif[0x0110] = "Demo", "Procedural"
    attic = draw_inside.attic().resize((360, 480), Image.Resampling.LANCZOS)
    attic.transpose(Image.Transpose.ROTATE_90).save(out / "attic.jpg", quality=70, optimize=True, exif=exif)


def energy_badge(out: Path) -> None:
    """A round badge on nothing at all: eight bits of transparency, with a soft shadow."""
    side = 480
    badge = Image.new("RGBA", (side, side))
    ImageDraw.Draw(badge).ellipse((50, 62, 438, 450), fill=(0, 40, 20, 120))
    badge = badge.filter(ImageFilter.GaussianBlur(12))
    pen = ImageDraw.Draw(badge)
    pen.ellipse((40, 36, 440, 436), fill=(34, 130, 84, 255), outline=(240, 250, 240, 255), width=10)
    pen.ellipse((72, 68, 408, 404), outline=(160, 220, 170, 255), width=4)
    pen.text((240, 214), "100%", font=font(100), fill=(255, 255, 255, 255), anchor="mm")
    pen.text((240, 298), "renewable energy", font=font(28), fill=(220, 246, 224, 255), anchor="mm")
    pen.polygon([(262, 84), (208, 152), (240, 152), (222, 166), (282, 126), (250, 126)], fill=(250, 220, 90, 255))
    badge.resize((240, 240), Image.Resampling.LANCZOS).save(out / "energy-badge.png", optimize=True)


def plan_picture(rooms: tuple[make_documents.Room, ...], furnished: int) -> Image.Image:
    """A floor plan, with the first few of its rooms furnished."""
    image = Image.new("RGB", (840, 600), (252, 250, 244))
    pen = ImageDraw.Draw(image)
    for number, room in enumerate(rooms):
        x0, y0, x1, y1 = (value * 2 for value in (room.x, room.y, room.x + room.width, room.y + room.height))
        pen.rectangle(
            (x0, y0, x1, y1), fill=room.colour if number < furnished else "#f4f1ea", outline="#3c4650", width=8
        )
        if number < furnished:
            pen.rounded_rectangle((x0 + 24, y0 + 24, x0 + 84, y0 + 60), 8, fill="#8a6a50")
            pen.ellipse((x1 - 70, y1 - 66, x1 - 26, y1 - 22), fill="#c88858")
        pen.text(((x0 + x1) / 2, (y0 + y1) / 2), room.name, font=font(24), fill="#3c4650", anchor="mm")
    return image.resize((420, 300), Image.Resampling.LANCZOS)


def plans(out: Path) -> None:
    upper = plan_picture(make_documents.UPPER, len(make_documents.UPPER))
    upper.quantize(32, dither=Image.Dither.NONE).save(out / "plan-upper.png", optimize=True)
    ground = make_documents.GROUND
    steps = [plan_picture(ground, n).quantize(32, dither=Image.Dither.NONE) for n in range(len(ground) + 1)]
    steps[0].save(
        out / "plan-furnished.gif", save_all=True, append_images=steps[1:], duration=700, loop=0, optimize=True
    )


def day_frames() -> Iterator[Image.Image]:
    """Ten seconds of one house from morning to night: the light alone says where in the film one is."""
    hours: list[Image.Image] = []
    for light in (MORNING, NOON, NOON, DUSK, NIGHT):
        canvas = Canvas(41)
        draw_outside.cottage(canvas, draw.Light(light.sky, light.tint, None, light.cloud, light.lamps))
        wide = canvas.finish(light).crop((0, 28, 480, 298))  # 16 by 9, with room for the caption under the house
        hours.append(wide.resize((640, 360), Image.Resampling.LANCZOS))
    disc = Image.new("L", (96, 96))
    ImageDraw.Draw(disc).ellipse((30, 30, 66, 66), fill=255)
    disc = disc.filter(ImageFilter.GaussianBlur(3))
    total = 10 * FPS
    for number in range(total):
        place = number / total * (len(hours) - 1)
        frame = Image.blend(hours[int(place)], hours[min(int(place) + 1, len(hours) - 1)], place % 1)
        shine = max(0.0, min(1.0, (0.84 - number / total) * 9))
        where = (round(20 + 600 * number / total), round(20 + 420 * (number / total - 0.42) ** 2))
        frame.paste((255, 246, 214), where, disc.point([round(value * shine) for value in range(256)]))
        yield captioned(frame, "Harbour cottage, from morning to night", number, total)


def tour_frames() -> Iterator[Image.Image]:
    """Six seconds through four rooms."""
    rooms = [PHOTOS[name]() for name in ("hall.jpg", "living-green.jpg", "bathroom.jpg", "bedroom-sand.jpg")]
    total = 6 * FPS
    for number in range(total):
        place = number / total * len(rooms)
        index, fade = int(place), max(0.0, place % 1 - 0.8) * 5
        frame = Image.blend(rooms[index], rooms[min(index + 1, len(rooms) - 1)], fade)
        yield captioned(frame, "A short visit", number, total)


def captioned(frame: Image.Image, text: str, number: int, total: int) -> Image.Image:
    """Burn in a title, the second, and how far along the film is."""
    width, height = frame.size
    pen = ImageDraw.Draw(frame)
    pen.rectangle((0, height - 44, width, height), fill=(24, 30, 40))
    pen.rectangle((0, height - 44, width * (number + 1) / total, height - 40), fill=(240, 180, 80))
    pen.text((14, height - 20), text, font=font(16, bold=False), fill=(236, 236, 230), anchor="lm")
    pen.text((width - 14, height - 20), f"{number // FPS:02d} s", font=font(26), fill=(255, 255, 255), anchor="rm")
    return frame


def ffmpeg(out: Path, source: list[str], data: Iterator[bytes], target: list[str]) -> None:
    """Pipe raw frames or samples through ffmpeg; bitexact and one thread, so that a second run gives the same file."""
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *source, "-i", "-", *target]
    command += ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for piece in data:
            process.stdin.write(piece)
        process.stdin.close()
    if process.returncode:
        raise SystemExit(f"ffmpeg could not make {out}")


def films(out: Path) -> None:
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-r", str(FPS), "-s"]
    keyframes = ["-pix_fmt", "yuv420p", "-g", str(FPS)]
    # A key frame every second and the index before the pictures: a browser seeks with one Range request.
    webm = ["-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "36", "-row-mt", "0", "-cpu-used", "2", "-cues_to_front", "1"]
    ffmpeg(out / "day.webm", [*raw, "640x360"], (f.tobytes() for f in day_frames()), webm + keyframes)
    mp4 = ["-c:v", "libx264", "-preset", "slow", "-crf", "30", "-movflags", "+faststart"]
    ffmpeg(out / "tour.mp4", [*raw, "480x320"], (f.tobytes() for f in tour_frames()), mp4 + keyframes)
    opus = ["-c:a", "libopus", "-b:a", "24k"]
    ffmpeg(out / "dawn.ogg", ["-f", "s16le", "-ar", "48000", "-ac", "1"], make_documents.birdsong(), opus)


def documents(out: Path) -> None:
    cover = BytesIO()
    draw_outside.modern_villa().save(cover, "JPEG", quality=78, optimize=True)
    (out / "brochure.pdf").write_bytes(make_documents.brochure(cover.getvalue(), draw.SIZE))
    for name, text in make_documents.texts().items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the demo's media files.")
    parser.add_argument(
        "out",
        nargs="?",
        type=Path,
        default=Path(__file__).parents[2] / "mediamw/cli/demo/assets",
        help="default: %(default)s",
    )
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for make in (photos, energy_badge, plans, documents, films):
        make(out)
    files = sorted(path for path in out.iterdir() if path.is_file())
    for path in files:
        print(f"{path.stat().st_size:8d}  {path.name}")
    print(f"{sum(path.stat().st_size for path in files):8d}  in {len(files)} files")


if __name__ == "__main__":
    main()
