"""DEPOT's tests of its dates."""

from .loader import cases

globals().update(cases("test_io_utils"))
