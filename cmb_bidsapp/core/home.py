"""A home and a name for users that have none, as in containers and on cluster nodes.

Libraries keep caches and look for settings in the home folder, and stop at import where nobody
knows of one; csh scripts such as recon-all stop where nobody knows who runs them.
"""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path

from cmb_bidsapp.core.errors import CannotWriteError


def provide_home() -> None:
    """Set ``HOME``, ``USER`` and ``LOGNAME`` where they are of no use; children inherit them.

    A home that is not there or cannot be written to is replaced by a temporary folder, which is
    removed when this process ends.

    Raises
    ------
    CannotWriteError
        There is no place for temporary files.
    """
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # the user is in no list, and no variable has a name
        name = str(os.getuid())
    for variable in ("USER", "LOGNAME"):
        os.environ.setdefault(variable, name)
    try:
        home = Path.home()
    except RuntimeError:
        home = Path("/nonexistent")
    if not os.access(home, os.W_OK | os.X_OK):
        try:
            os.environ["HOME"] = folder = tempfile.mkdtemp(prefix="cmb-home-")
        except FileNotFoundError as error:
            raise CannotWriteError(
                f"no writable folder for temporary files ({error.strerror}); choose one with -w, "
                "or run the container with --tmpfs /tmp"
            ) from error
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
