"""DEPOT's tests of what lies on the disk."""

from .loader import cases

globals().update(cases("test_local_storage"))
