"""FreeSurfer's recon-all: started, resumed, or left alone where it has finished."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import time
from pathlib import Path

from cmb_bidsapp.core.errors import DataError, TemporaryError
from cmb_bidsapp.tools import external
from cmb_bidsapp.tools.license import TEXT_VARIABLE, freesurfer_license

LOG = logging.getLogger(__name__)

#: The program, and what there is where it is not installed.
COMMAND, INSTEAD = "recon-all", "--parcellation atlas"

#: What a finished subject is read for.
NEEDED = ("mri/aparc+aseg.mgz", "mri/wmparc.mgz")

#: The image as recon-all has imported it; with it a run can be resumed.
IMPORTED = "mri/orig/001.mgz"

#: Files in ``scripts/`` that say that recon-all is at work.
LOCKS = ("IsRunning.lh+rh", "IsRunning.lh", "IsRunning.rh")

#: A lock is stale when nothing was written for this long, s. No step is silent for nearly as long.
QUIET = 12 * 3600


def run_recon_all(
    t1w: Path,
    subject: str,
    subjects_dir: Path,
    *,
    threads: int,
    license_file: Path | None,
    resume: bool = True,
) -> Path:
    """Label a head with ``recon-all -all``, which takes hours.

    A finished subject is returned at once; neither program nor license is asked for then. A
    run that was cut off goes on where it stopped.

    Parameters
    ----------
    t1w
        T1-weighted image, NIfTI.
    subject, subjects_dir
        Name of the subject's folder, and the folder it lies in, which is made.
    threads
        Threads of recon-all; with more than one the hemispheres are worked on side by side.
    license_file
        FreeSurfer's license, where it is not in the environment.
    resume
        Whether a run may go on in a folder that is there.

    Returns
    -------
    Path
        Folder of the subject.

    Raises
    ------
    CommandMissingError
        recon-all is not installed.
    LicenseError
        There is no license.
    TemporaryError
        recon-all is at work on this subject already, or it or a step of it was killed.
    DataError
        It failed, left out files, or may not or cannot go on in the folder.
    """
    folder = subjects_dir / subject
    _clear_locks(folder)
    if is_finished(folder):
        return folder
    external.require(COMMAND, INSTEAD)
    resumed = _can_resume(folder, allowed=resume)
    argv = [COMMAND, "-s", subject, "-sd", str(subjects_dir.absolute())]
    argv += [] if resumed else ["-i", str(t1w.absolute())]
    # -parallel sets four threads, which -openmp after it puts right.
    argv += ["-all", *(["-parallel"] if threads > 1 else []), "-openmp", str(threads)]
    log = folder / "scripts" / "recon-all.log"
    subjects_dir.mkdir(parents=True, exist_ok=True)
    with freesurfer_license(license_file) as license_path:
        environment = {
            "FS_LICENSE": str(license_path),
            # recon-all writes its whole environment into the subject's folder.
            TEXT_VARIABLE: "",
            "SUBJECTS_DIR": str(subjects_dir.absolute()),
            "OMP_NUM_THREADS": str(threads),
            "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads),
        }
        try:
            external.run(argv, instead=INSTEAD, environment=environment, own_log=log)
        except DataError as error:
            afresh = f"; remove {folder} to start afresh" if resumed else ""
            raise DataError(f"{error}; see {log}{afresh}") from error
        except BaseException:
            # It was stopped with all that it had started, too fast to remove its lock.
            for lock in _locks(folder):
                lock.unlink(missing_ok=True)
            raise
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise DataError(f"recon-all ended without an error but {folder} lacks {', '.join(missing)}")
    return folder


def ended_well(subject_dir: Path) -> bool:
    """Whether recon-all came to its end in a subject's folder."""
    done = subject_dir / "scripts" / "recon-all.done"
    # A run that fails leaves the file too, with nothing but this in it.
    return done.is_file() and done.read_text(errors="replace").strip() != "1"


def is_finished(subject_dir: Path) -> bool:
    """Whether recon-all ended well in a subject's folder, and the files that are read are there."""
    return (
        ended_well(subject_dir)
        and not _locks(subject_dir)
        and all((subject_dir / name).is_file() for name in NEEDED)
    )


def _can_resume(folder: Path, *, allowed: bool) -> bool:
    """Whether recon-all goes on in a folder; if not, the folder is not there.

    recon-all refuses a new image where the folder exists, and to go on where it has no image.
    """
    if not folder.exists():
        return False
    if not allowed:
        raise DataError(f"{folder} is not finished; remove it, or omit --fs-no-resume")
    if (folder / IMPORTED).is_file():
        return True
    scripts = folder / "scripts"
    if any(p.is_file() and not p.is_relative_to(scripts) for p in folder.rglob("*")):
        raise DataError(
            f"{folder} is not finished and lacks {IMPORTED}, so recon-all can neither resume nor "
            "start there; remove it, or choose another folder"
        )
    shutil.rmtree(folder)
    LOG.warning("removed %s: an earlier run stopped before it imported its image", folder)
    return False


def _locks(folder: Path) -> list[Path]:
    return [path for name in LOCKS if (path := folder / "scripts" / name).exists()]


def _clear_locks(folder: Path) -> None:
    """Remove locks whose recon-all is gone; a live one is an error."""
    for lock in _locks(folder):
        text = lock.read_text(errors="replace")
        host, pid = _field(text, "HOST"), _field(text, "PROCESSID")
        if host == socket.gethostname() and pid is not None and not _alive(pid):
            reason = f"its process {pid} is gone"
        elif _quiet_for(lock) > QUIET:
            reason = f"nothing was written for {QUIET // 3600} hours"
        else:
            raise TemporaryError(
                f"recon-all is already running: host {host or 'unknown'}, process "
                f"{pid or 'unknown'}, says {lock}; wait until it ends, or remove that file if "
                "the process is gone"
            )
        lock.unlink()
        LOG.warning("removed the stale lock %s: %s", lock, reason)


def _quiet_for(lock: Path) -> float:
    """Time since the lock or the log beside it changed, s."""
    paths = (lock, lock.with_name("recon-all.log"))
    return time.time() - max(path.stat().st_mtime for path in paths if path.exists())


def _alive(pid: str) -> bool:
    """Whether a process of this machine runs; what is no process number counts as one that does."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (PermissionError, ValueError):
        return True
    return True


def _field(text: str, name: str) -> str | None:
    """Rest of the line that starts with a name, in the files recon-all writes."""
    found = re.search(rf"^{name}[ \t]+(\S.*?)[ \t]*$", text, re.MULTILINE)
    return found[1] if found else None
