"""DEPOT's own tests, run with ``mediamw.ext.depot`` in the place of ``depot``."""
