"""The ``convert`` verb: participant after participant, each one's failure its own."""

from __future__ import annotations

import sys
from pathlib import Path

from cmb_bidsapp.convert.dataset import (
    Outputs,
    describe_datasets,
    list_participants,
    write_participant,
)
from cmb_bidsapp.convert.request import ConversionRequest
from cmb_bidsapp.convert.valdo import find_participants, read_participant
from cmb_bidsapp.core.errors import DataError, ExitCode, NoInputError
from cmb_bidsapp.core.outcome import Summary, common_code


def run_conversion(request: ConversionRequest) -> int:
    """Convert a dataset; participants that are complete stay as they are.

    Raises
    ------
    NoInputError
        Nothing in VALDO_DIR has a name of VALDO Task 2.
    """
    valdo_dir, bids_dir = request.valdo_dir.resolve(), request.bids_dir.resolve()
    found = find_participants(valdo_dir)
    if not found:
        raise NoInputError(f"{valdo_dir}: no file like sub-101_space-T2S_CMB.nii.gz in it or below")
    outputs = Outputs(bids_dir)
    describe_datasets(outputs)
    done = [label for label, files in found.items() if _convert(label, files, outputs)]
    list_participants(outputs, done)
    print(f"images: {outputs.bids_dir}\nmasks: {outputs.masks_dir}")
    return _finish(len(done), len(found) - len(done))


def _convert(label: str, files: dict[str, list[Path]], outputs: Outputs) -> bool:
    """Convert one participant and say how it went; whether its outputs are there."""
    if outputs.are_complete(label):
        print(f"sub-{label}: already converted", flush=True)
        return True
    try:
        participant = read_participant(label, files)
    except DataError as error:
        print(f"sub-{label}: failed: {error}", file=sys.stderr, flush=True)
        return False
    write_participant(participant, outputs)
    print(f"sub-{label}: {participant.instances.max()} microbleeds", flush=True)
    for note in participant.notes:
        print(f"  note  {note}", flush=True)
    return True


def _finish(ok: int, failed: int) -> int:
    code = common_code([ExitCode.OK] * ok + [ExitCode.DATA] * failed)
    print(Summary(ok=ok, failed=failed, skipped=0, code=code), flush=True)
    return code
