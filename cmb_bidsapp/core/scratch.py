"""Scratch folders: gone when they have served, unless a run is to keep them.

Whether they are kept is said by the environment, which the children of a run inherit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from cmb_bidsapp.core.defaults import KeepWorkdir
from cmb_bidsapp.core.errors import naming

#: Beginning of the name of a run's scratch folder.
PREFIX = "cmb_bidsapp-"
#: Set where folders are to stay until it is known what becomes of them.
KEEP_VARIABLE = "CMB_BIDSAPP_KEEP_SCRATCH"


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A new folder for temporary files, in that of the process (``TMPDIR``)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with naming(folder):
            yield folder
    finally:
        if KEEP_VARIABLE not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


class SessionScratch:
    """Folder for the temporary files of one child process, in that of the run.

    Attributes
    ----------
    failed
        To be set to false when the child has ended well.
    """

    def __init__(self, label: str, keep: KeepWorkdir, within: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{label}-", dir=within))
        self.failed = True
        self._keep = keep

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the child."""
        kept = {} if self._keep == "never" else {KEEP_VARIABLE: self._keep}
        return {"TMPDIR": str(self.folder), **kept}

    def __enter__(self) -> SessionScratch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keep == "never" or (self._keep == "on-failure" and not self.failed):
            shutil.rmtree(self.folder, ignore_errors=True)
