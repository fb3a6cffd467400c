"""``python -m cmb_bidsapp``."""

import sys

from cmb_bidsapp.cli import main

if __name__ == "__main__":
    sys.exit(main())
