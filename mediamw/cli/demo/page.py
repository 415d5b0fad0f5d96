"""The page as HTML. Every value goes through ``Markup.format``, which escapes it; the frame is page.html."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from .database import Database, HomeRow, MediaRow
from .uploads import FOLDER, MAX_UPLOAD_BYTES

PREFIX = "/media/"
_LOGO = "site/logo.svg"

# page.html is ours, so it may be markup.
_FRAME = Markup((Path(__file__).parent / "page.html").read_text("utf-8"))  # noqa: S704 - no value of anybody else is in it

_HOME = Markup("""\
<article class="home">
<header><h3>{title}</h3><p class="place">{town}</p><p class="price">€ {price}</p></header>
<div class="media">
{media}</div>
</article>
""")

# The badge is empty until the page's script has asked which backend answered.
_CAPTION = Markup('<code>{name}</code> <span class="badge" data-key="{key}">not asked yet</span>')

_MEDIA = {
    "image": Markup(
        '<figure class="{size}"><img src="{url}" alt="{alt}"><figcaption>{caption}</figcaption></figure>\n'
    ),
    "video": Markup(
        '<figure class="wide"><video controls preload="metadata" src="{url}" aria-label="{alt}"{poster}></video>'
        "<figcaption>{caption}</figcaption></figure>\n"
    ),
    "audio": Markup(
        '<figure class="wide"><audio controls preload="metadata" src="{url}" aria-label="{alt}"></audio>'
        "<figcaption>{caption}</figcaption></figure>\n"
    ),
    "link": Markup(
        '<figure class="wide document"><a href="{url}">{alt}</a><figcaption>{caption}</figcaption></figure>\n'
    ),
}


def render(database: Database, folder: Path, counts: Mapping[str, int], error: str = "") -> str:
    """Return the whole page; ``folder`` has the local files, ``error`` says why an upload was not taken."""
    media = database.media()
    uploads = [row for row in reversed(media) if row.key.startswith(FOLDER)]
    others = [row for row in media if row.home_id is None and row.key != _LOGO and row not in uploads]
    return _FRAME.format(
        rows=len(media) - len(uploads),
        folder=folder,
        error=Markup('<p class="error" role="alert">{}</p>').format(error) if error else "",
        limit=MAX_UPLOAD_BYTES // 1024**2,
        logo_key=_LOGO,
        logo_url=media_url(_LOGO),
        uploads=_all(uploads) if uploads else Markup('<p class="none">Nothing yet.</p>'),
        homes=Markup("").join(
            _home(home, [row for row in media if row.home_id == home.id]) for home in database.homes()
        ),
        others=_all(others),
        **counts,
    )


def media_url(key: str) -> str:
    """Return the site's URL of ``key``: below the middleware's prefix, with every awkward character quoted."""
    return PREFIX + quote(key)


def _home(home: HomeRow, media: Sequence[MediaRow]) -> Markup:
    """The first picture over the whole width, the others in pairs, and over the whole width again if one is left."""
    pairs = [row for row in media[1:] if row.kind == "image"]
    small = pairs[: len(pairs) // 2 * 2]
    # Until it is played a video is a grey box, so a picture of its home lies on it.
    poster = next((row for row in media if row.kind == "image"), None)
    shown = Markup("").join(_figure(row, "small" if row in small else "wide", poster) for row in media)
    return _HOME.format(title=home.title, town=home.town, price=f"{home.price:,}", media=shown)


def _all(media: Iterable[MediaRow]) -> Markup:
    return Markup("").join(_figure(row, "small") for row in media)


def _figure(row: MediaRow, size: str, poster: MediaRow | None = None) -> Markup:
    caption = _CAPTION.format(name=row.key.rpartition("/")[2], key=row.key)
    template = _MEDIA.get(row.kind, _MEDIA["link"])
    attribute = Markup(' poster="{}"').format(media_url(poster.key)) if poster else ""
    return template.format(url=media_url(row.key), alt=row.alt, caption=caption, size=size, poster=attribute)
