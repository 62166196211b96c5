"""``python -m ssmemory.cli``."""

import sys

from ssmemory.cli import main

sys.exit(main())
