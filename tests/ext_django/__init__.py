"""The Django integration. Not ``tests/django``: the tests' folder is on the path, where that would hide Django."""
