"""Fills the project's database and its media folder as years of editors would; prints the URLs of its pages."""

import json
from io import BytesIO

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.files.images import ImageFile  # noqa: E402
from django.test import Client  # noqa: E402
from gallery.models import GalleryPage  # noqa: E402
from PIL import Image as Picture  # noqa: E402
from wagtail.images import get_image_model  # noqa: E402
from wagtail.models import Page, Site  # noqa: E402

PAGES, FORMATS = 2, {"Living room": "jpeg", "Plan, ground floor": "png", "Küche": "webp", "Tour": "gif"}
ADMIN = {"username": "editor", "password": "the password of the editor"}


def painted(number: int, form: str) -> BytesIO:
    file = BytesIO()
    picture = Picture.linear_gradient("L").resize((900, 600))
    Picture.merge("RGB", [picture, picture.rotate(40 * number), picture.rotate(180)]).save(file, form)
    file.seek(0)
    return file


editor = get_user_model().objects.create_superuser(**ADMIN, email="editor@example.com")
home = Site.objects.get(is_default_site=True).root_page
for page in range(PAGES):
    images = [
        get_image_model().objects.create(
            title=title, file=ImageFile(painted(page * len(FORMATS) + number, form), f"{title}.{form}")
        )
        for number, (title, form) in enumerate(FORMATS.items())
    ]
    embedded = f'<p>Here.</p><embed embedtype="image" id="{images[0].pk}" format="left" alt="here" />'
    made = GalleryPage(title=f"Gallery {page}", intro=embedded, body=[("image", image) for image in images])
    home.add_child(instance=made)

# Wagtail makes a rendition when it is first shown.
client = Client()
pages = [page.url for page in Page.objects.live() if page.url]
for url in pages:
    assert client.get(url).status_code == 200, url
client.force_login(editor)
assert client.get("/admin/images/").status_code == 200
print(json.dumps({"pages": pages, **ADMIN}))
