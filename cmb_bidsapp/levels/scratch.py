"""Where a run keeps its temporary files, and which of them stay."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmb_bidsapp.core.home import provide_home
from cmb_bidsapp.core.scratch import PREFIX
from cmb_bidsapp.settings import Settings


@contextmanager
def run_scratch(settings: Settings) -> Iterator[Path]:
    """Make a folder in which this run and its children keep their temporary files.

    It goes when the run ends, but for the sessions' scratch that ``keep_workdir`` keeps. With
    ``clean_workdir`` those of earlier runs go first, but in a dry run; nothing else in ``work_dir``
    is touched.
    """
    before, tempdir = os.environ.get("TMPDIR"), tempfile.tempdir
    folder = None
    try:
        if settings.work_dir is not None:
            settings.work_dir.mkdir(parents=True, exist_ok=True)
            # A dry run deletes nothing.
            if settings.clean_workdir and not settings.dry_run:
                for old in settings.work_dir.glob(f"{PREFIX}*"):
                    shutil.rmtree(old)
            _use(settings.work_dir)
        provide_home()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        _use(folder)
        yield folder
    finally:
        if folder is not None:
            _end(folder, keep=settings.keep_workdir != "never")
        tempfile.tempdir = tempdir
        os.environ.pop("TMPDIR", None)
        if before is not None:
            os.environ["TMPDIR"] = before


def _use(folder: Path) -> None:
    tempfile.tempdir = str(folder.absolute())
    os.environ["TMPDIR"] = tempfile.tempdir


def _end(folder: Path, *, keep: bool) -> None:
    if keep and any(folder.iterdir()):
        print(f"keeping the working directory: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
