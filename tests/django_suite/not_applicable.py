"""The tests of Django's that are on ``FileSystemStorage`` itself and not on what every storage has: each, and why.

The table is exact: a test that stands here and passes is an error (``ext_django/test_django_suite.py``).
"""

from __future__ import annotations

import os

FOLDERS = "it deletes a folder: a stack has files, and folders are where they lie"
MAKEDIRS = "it replaces os.makedirs, and counts on who calls it: folders are made beneath a descriptor here"
REMOVE = "it replaces os.remove, and counts on who calls it: files are removed beneath a descriptor here"
OPEN_FLAGS = "it is on FileSystemStorage.OS_OPEN_FLAGS, which Django 6 does not have any more"
DECONSTRUCTED = "it wants the path of Django's class; that of this one is in test_media_storage.py"
LISTS = "it lists the directory itself, in which the folder .mediamw lies; two files are there, as it wants"
ROOT = "it takes a right from the user that root always has"
LOWER_LISTED = "it wants nothing in the listing but its own files, and what the lower has is listed too"

OF_ALL_STORAGES = {  # the class of these tests is derived from, for each kind of storage
    "test_delete_deletes_directories": FOLDERS,
    "test_makedirs_race_handling": MAKEDIRS,
    "test_remove_race_handling": REMOVE,
}
CLASSES = ["FileStorageTests", "CustomStorageTests", "OverwritingStorageTests", "DiscardingFalseContentStorageTests"]
OF_5 = "OverwritingStorageOSOpenFlags"


def not_applicable(major: int, below: str) -> dict[str, str]:
    """Return the tests, by their ids, for a Django, over one backend or with a lower."""
    tests = "file_storage.tests"
    of_all = {**OF_ALL_STORAGES, **({"test_listdir": LOWER_LISTED} if below == "lower" else {})}
    classes = [*CLASSES, *([f"{OF_5}Tests"] if major < 6 else [])]
    table = {f"{tests}.{kind}.{test}": reason for kind in classes for test, reason in of_all.items()}
    table[f"{tests}.FileSystemStorageTests.test_deconstruction"] = DECONSTRUCTED
    table[f"{tests}.FileSaveRaceConditionTest.test_race_condition"] = LISTS
    if major < 6:
        table[f"{tests}.{OF_5}Tests.test_save_overwrite_behavior"] = OPEN_FLAGS
        table[f"{tests}.{OF_5}WarningTests.test_os_open_flags_deprecation_warning"] = OPEN_FLAGS
    if os.geteuid() == 0:
        table["file_uploads.tests.DirectoryCreationTests.test_readonly_root"] = ROOT
    return table
