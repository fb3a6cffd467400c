"""FreeSurfer's SynthSeg, which asks for no license."""

from __future__ import annotations

import os
from pathlib import Path

from cmb_bidsapp.bids.outputs import atomic
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.tools import external

#: The program, and what there is where it is not installed.
COMMAND, INSTEAD = "mri_synthseg", "--parcellation atlas"


def run_synthseg(t1w: Path, output: Path, *, threads: int, device: str) -> None:
    """Label a head with ``mri_synthseg --parc``: FreeSurfer ids, with those of ``aparc``.

    Parameters
    ----------
    t1w
        T1-weighted image, NIfTI.
    output
        NIfTI that is written, 1 mm; readers see none or a whole one.
    threads
        Threads of the program.
    device
        ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    CommandMissingError
        SynthSeg is not installed.
    TemporaryError
        It was killed.
    DataError
        It failed, or wrote nothing.
    """
    external.require(COMMAND, INSTEAD)
    with atomic(output) as beside:
        # An empty file that is there already could pass for a result.
        beside.unlink()
        argv = [COMMAND, "--i", str(t1w), "--o", str(beside), "--parc", "--threads", str(threads)]
        argv += [] if device.startswith("cuda") else ["--cpu"]
        external.run(argv, instead=INSTEAD, environment=_seeing(device))
        if not beside.is_file() or beside.stat().st_size == 0:
            raise DataError(f"{COMMAND} ended without an error but wrote no labels of {t1w}")


def _seeing(device: str) -> dict[str, str]:
    """Variables that leave a program, which takes the first GPU it sees, the one that is meant."""
    _, _, number = device.partition(":")
    if not number:
        return {}
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    # Numbers are those of what this process may see.
    return {"CUDA_VISIBLE_DEVICES": seen.split(",")[int(number)] if seen else number}
