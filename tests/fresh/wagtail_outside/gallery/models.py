"""A page that shows its images in every way that Wagtail has."""

from __future__ import annotations

from wagtail.fields import RichTextField, StreamField
from wagtail.images.blocks import ImageChooserBlock
from wagtail.models import Page


class GalleryPage(Page):
    intro = RichTextField(blank=True)
    body = StreamField([("image", ImageChooserBlock())])
