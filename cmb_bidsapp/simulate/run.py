"""The ``simulate`` verb."""

from __future__ import annotations

from collections.abc import Sequence

from cmb_bidsapp.core.errors import ExitCode, UsageError
from cmb_bidsapp.simulate.anatomy import atlas_head, read_head
from cmb_bidsapp.simulate.dataset import SimulatedCohort, simulate_dataset
from cmb_bidsapp.simulate.protocols import ScanProtocol, read_protocol
from cmb_bidsapp.simulate.request import Kept, SimulationRequest
from cmb_bidsapp.simulate.texture import read_texture


def run_simulation(request: SimulationRequest) -> int:
    """Simulate a cohort; an interrupted run goes on.

    Raises
    ------
    UsageError
        A protocol is unknown.
    """
    protocols = _protocols("protocol", request.protocol)
    follow_up_protocols = _protocols("follow-up-protocol", request.follow_up_protocol)
    heads = [read_head(p) for p in request.label_maps] if request.label_maps else [atlas_head()]
    truth = simulate_dataset(
        SimulatedCohort(
            heads=heads,
            participants=request.participants,
            protocols=protocols,
            microbleeds=request.microbleeds,
            free=request.share_without_microbleeds,
            sessions=_labels(request.participants, request.sessions),
            new=request.new,
            unchanged=request.unchanged,
            follow_up_protocols=follow_up_protocols,
            seed=request.random_seed,
            phase=request.phase,
            textures=[read_texture(path) for path in request.texture],
            kept=Kept(request.head),
            t1w_on_t2star=request.t1w_on_t2star,
        ),
        request.output_dir,
        processes=request.nprocs,
        progress=lambda text: print(f"simulated {text}", flush=True),
    )
    print(f"images: {request.output_dir}\ntruth: {truth}")
    return ExitCode.OK


def _protocols(option: str, texts: Sequence[str]) -> list[ScanProtocol]:
    try:
        return [read_protocol(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"--{option} {error}") from error


def _labels(participants: int, sessions: int) -> dict[int, list[str]]:
    """Session labels of every participant; none where there is one session only."""
    labels = [str(number + 1) for number in range(sessions)]
    return dict.fromkeys(range(participants), labels) if sessions > 1 else {}
