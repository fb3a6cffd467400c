"""Locks of the output folder: one run at a time writes a participant, or what belongs to none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cmb_bidsapp.bids.outputs import PARTIAL


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock; another run on the same outputs waits for it.

    Parameters
    ----------
    path
        The lock file; it stays.
    wait
        Whether to wait for the other run, else to give up.

    Raises
    ------
    BlockingIOError
        Another run holds it, and this one is not to ``wait``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        held = lock.acquire(blocking=wait)
    except Timeout as error:
        raise BlockingIOError(f"{path} is held by another run") from error
    with held:
        yield


@contextmanager
def tidied(lock: Path, folder: Path, *names: str) -> Iterator[None]:
    """Hold a lock, and remove first what killed writes have left of files written under it.

    Parameters
    ----------
    lock
        The lock file, see :func:`locked`.
    folder, names
        Where the files lie, and patterns of their names; folders may stand before a name.
    """
    with locked(lock):
        for name in names:
            inside, _, last = name.rpartition("/")
            for left in folder.glob(f"{inside}/{PARTIAL}*-{last}".lstrip("/")):
                left.unlink(missing_ok=True)
        yield


def dataset_lock(out_dir: Path) -> Path:
    """Lock that a run holds while it writes what belongs to no participant."""
    return out_dir / "logs" / "locks" / "dataset.lock"


def participant_lock(out_dir: Path, participant: str) -> Path:
    """Lock that a run holds while it writes a participant's derivatives.

    Parameters
    ----------
    out_dir
        The output folder.
    participant
        Label without ``sub-``.
    """
    return out_dir / "logs" / "locks" / f"sub-{participant}.lock"


def remove_partial(out_dir: Path, participant: str) -> None:
    """Remove partial files that killed writes left of a participant, unless a run is at work.

    Parameters
    ----------
    out_dir
        The output folder.
    participant
        Label without ``sub-``.
    """
    own = f"{PARTIAL}*-sub-{participant}[._]*"
    with suppress(BlockingIOError), locked(participant_lock(out_dir, participant), wait=False):
        for folder in (out_dir, out_dir / "logs" / "stamps", out_dir / "logs" / "seconds"):
            for path in folder.glob(own):
                path.unlink(missing_ok=True)
        for path in (out_dir / f"sub-{participant}").rglob(f"{PARTIAL}*"):
            path.unlink(missing_ok=True)
