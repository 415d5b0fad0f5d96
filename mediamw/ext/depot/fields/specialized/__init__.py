"""Kinds of files: ``image.UploadedImageWithThumb``."""
