"""Django's own tests of storages and file fields, run with ``MediaStorage`` in place of its ``FileSystemStorage``."""
