"""What a row holds of a file, with DEPOT's classes: ``upload.UploadedFile``, filters, the image with a thumbnail."""
