"""DEPOT's tests of its storages in a directory and in memory."""

from .loader import cases

globals().update(cases("test_storage_interface", "TestLocalFileStorage", "TestMemoryFileStorage"))
