"""What is done with a file that was stored: ``thumbnails.WithThumbnailFilter``."""
