"""An app that stands outside the project: a page of images."""
