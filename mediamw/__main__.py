"""``python -m mediamw`` is the command ``mediamw``."""

import sys

from .cli import main

if __name__ == "__main__":  # server workers import this module too
    sys.exit(main())
