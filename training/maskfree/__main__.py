"""``python -m maskfree``: the same as the command ``maskfree``."""

from __future__ import annotations

import sys

from maskfree.cli import main

if __name__ == "__main__":
    sys.exit(main())
