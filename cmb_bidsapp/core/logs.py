"""What is logged: warnings, and with ``--verbose`` more."""

from __future__ import annotations

import logging


def show_logs(verbosity: int) -> None:
    """Print what is logged on standard error.

    Parameters
    ----------
    verbosity
        0: warnings; 1: also what else the app and libraries say; 2: also tracebacks of errors that
        only one participant is left out for.
    """
    level = logging.INFO if verbosity else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    if verbosity > 1:
        # Of libraries this would be a line for each font that matplotlib looks at.
        logging.getLogger("cmb_bidsapp").setLevel(logging.DEBUG)
