"""An app with files, for the tests of the admin; only they install it."""
