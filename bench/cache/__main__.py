"""``python -m bench.cache``: see ``bench/cache/care.py``."""

from __future__ import annotations

import sys

from bench.cache.care import main

if __name__ == "__main__":
    sys.exit(main())
