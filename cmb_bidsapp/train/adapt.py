"""The ``adapt`` verb: a lesion model gets used to a site's scans, without labels.

The judges of its second look alone are trained further: on dark places and clear tissue of the
site's own scans, microbleeds mixed into the latter. Scans held back say whether that helped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import load_header
from cmb_bidsapp.bids.outputs import read_sidecar, sidecar_of
from cmb_bidsapp.core.decisions import Decisions
from cmb_bidsapp.core.errors import ExitCode, NoInputError, NotBetterError, UsageError
from cmb_bidsapp.core.resources import choose_device, cuda_devices
from cmb_bidsapp.group.ratings import ratings_below
from cmb_bidsapp.lesions.axes import slices_are
from cmb_bidsapp.lesions.instances import EXTENT
from cmb_bidsapp.lesions.second_look import SecondLook
from cmb_bidsapp.lesions.segment import LesionNetwork, second_look_of, why_not_its_regions
from cmb_bidsapp.models.card import text_problems
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.registry import (
    Bundle,
    has_second_look,
    lesion_model_parameters,
    load_bundle,
    load_lesion_model,
)
from cmb_bidsapp.sensitivity.background import Background, refuse_other_model
from cmb_bidsapp.sensitivity.measure import Chain
from cmb_bidsapp.train.adapted import Learned, card_changes
from cmb_bidsapp.train.cases import split_participants
from cmb_bidsapp.train.choice import best_state
from cmb_bidsapp.train.export import export_adapted
from cmb_bidsapp.train.gains import HeldBack, Judged
from cmb_bidsapp.train.implants import chosen_sessions
from cmb_bidsapp.train.places import Acquisition, Kind, Places, Stored
from cmb_bidsapp.train.rated import Rated, read_rated
from cmb_bidsapp.train.request import AdaptRequest
from cmb_bidsapp.train.tuning import Pace, WorkFolder, measured_at

log = logging.getLogger(__name__)

#: One in so many participants is held back; so many are needed.
PARTS = 3
#: How often microbleeds are drawn into each scan held back, to choose a state of the judges and to
#: check it.
DRAWS = 4
#: Fewer of the marks of before are worth a note.
MOST = 0.5


def run_adaptation(request: AdaptRequest) -> int:
    """Adapt a lesion model to the scans of an output folder; an interrupted run goes on.

    Raises
    ------
    UsageError
        The model has no second look, there are too few participants, or one is not there.
    DataError
        Another model made the outputs.
    NoInputError
        No session can be used.
    NotBetterError
        No more simulated microbleeds are found than before.
    """
    device = choose_device(request.device, cuda_devices)
    bundle, model = _start(request), load_lesion_model(request.model)
    sessions = usable_sessions(request, model)
    learning, held_back = divided(sessions, request.random_seed)
    rated = _rated(request, sessions)
    work = WorkFolder(request.work, request.random_seed)
    work.open(_parameters(request, learning, held_back), _inputs(request, sessions))
    _say(f"training on {len(learning)} scans, holding out {len(held_back)}")
    second_look = second_look_of(model.second_look)
    assert second_look is not None
    places, shadows, protocols = _places(work, learning, rated)
    spots = second_look if model.card.dark_spots else None
    trials, others = _trials(work, held_back, model, spots, device)
    points = [point["threshold"] for point in bundle.card.operating_points.values()]
    begun = Judged(second_look, trials)
    best = best_state(
        begun,
        work.states(second_look, places, shadows, request.steps),
        [bundle.card.threshold, *points],
        _say,
        Pace(len(measured_at(request.steps))).next,
    )
    gain = best.judged.gain_over(begun, bundle.card.threshold, request.random_seed)
    if not gain.better:
        raise NotBetterError(
            f"no bundle written, because the adapted model is no better: {gain}; keep using "
            f"{bundle.name}"
        )
    learned = Learned(
        participants=len({files.participant for files in sessions}),
        held_back=len({files.participant for files in held_back}),
        rated=sum(files.label in rated for files in learning),
        acquisitions=tuple(protocols + others),
        step=best.step,
        halfway=best.halfway,
        seed=request.random_seed,
    )
    changes = card_changes(bundle, learned, gain, best.judged.way_from(begun), request.name)
    export_adapted(bundle, request.output_dir, best.judged.network.state_dict(), **changes)
    _say(str(gain))
    if gain.marks_per_scan:
        _say(f"of the marks of before {gain.same_marks:.0%} are still made")
    if gain.same_marks < MOST:
        _say("note: most marks differ from before; compare the reports of both models")
    if gain.scans == 1:
        _say("note: one scan was held back; what it gains, others may not (docs/adapt.md)")
    if bundle.card.calibration and not changes["calibration"]:
        _say("no calibration: the scans held back have too few candidates to carry it over")
    _say(f"bundle: {request.output_dir}")
    return ExitCode.OK


def _say(text: str) -> None:
    print(text, flush=True)


def _start(request: AdaptRequest) -> Bundle:
    """The model that is adapted, if it can be."""
    if not has_second_look(request.model):
        raise UsageError(
            f"--model {request.model}: this model has no second look to adapt; add one with "
            "cmb_bidsapp train second-look"
        )
    bundle = load_bundle(request.model)
    if request.output_dir.resolve() == bundle.folder.resolve():
        raise UsageError(
            f"--output-dir {request.output_dir} is the folder of the model; choose another one"
        )
    if request.name is not None and (problems := list(text_problems({"name": request.name}))):
        raise UsageError("\n".join(f"--{problem}" for problem in problems))
    return bundle


def usable_sessions(request: AdaptRequest, model: LesionModel) -> list[SessionFiles]:
    """Finished sessions of those asked for; the others are named and left out.

    Parameters
    ----------
    request
        Which outputs and participants.
    model
        The one that is adapted; it must have made the results.

    Raises
    ------
    DataError
        Another model made one.
    NoInputError
        There is none.
    """
    usable = []
    for files, _ in chosen_sessions(
        request.derivatives,
        None,
        participants=request.participant_label,
        excluded=request.exclude_participant_label,
    ):
        if not files.mask.exists():
            log.warning("%s is left out: it is not finished", files.label)
        elif (lie := slices_are(load_header(files.t2star)[0].affine)) != "axial":
            log.warning("%s is left out: its slices are %s, not axial", files.label, lie)
        else:
            refuse_other_model(model, files)
            usable.append(files)
    if not usable:
        raise NoInputError(f"{request.derivatives}: no finished session with axial slices")
    return usable


def divided(
    sessions: Sequence[SessionFiles], seed: int
) -> tuple[list[SessionFiles], list[SessionFiles]]:
    """Sessions to learn from, and those of the participants that are held back.

    Parameters
    ----------
    sessions
        All that can be used.
    seed
        Draws who is held back: all sessions of a participant are on one side.

    Raises
    ------
    UsageError
        There are too few participants.
    """
    participants = len({files.participant for files in sessions})
    if participants < PARTS:
        raise UsageError(
            f"{participants} participants are too few; at least {PARTS} are needed, because a "
            "third is held out"
        )
    names = [files.label for files in sessions]
    # The last part is never larger than the others.
    left_out = split_participants(names, PARTS, seed)[-1]["val"]
    return (
        [files for files in sessions if files.label not in left_out],
        [files for files in sessions if files.label in left_out],
    )


def _parameters(
    request: AdaptRequest, learning: Sequence[SessionFiles], held_back: Sequence[SessionFiles]
) -> dict[str, Any]:
    return {
        "version": 2,
        "model": lesion_model_parameters(request.model),
        "learning": [files.label for files in learning],
        "held_back": [files.label for files in held_back],
        "steps": request.steps,
        "seed": request.random_seed,
    }


def _inputs(request: AdaptRequest, sessions: Sequence[SessionFiles]) -> list[Path]:
    """What is read of the sessions, and of their readers."""
    found = ratings_below(request.ratings) if request.ratings else []
    for files in sessions:
        found += [files.t2star, files.t1w_on_t2star, files.proxy, files.network_labels]
        found += [files.probability, files.raw_mask]
        found += [sidecar_of(files.t2star), sidecar_of(files.probability)]
        found += [files.lesions] if request.ratings else []
    return [path for path in found if path.exists()]


def _rated(request: AdaptRequest, sessions: Sequence[SessionFiles]) -> Mapping[str, Rated]:
    """What readers decided in each session; nothing without ``--ratings``."""
    if request.ratings is None:
        return {}
    rated, problems = read_rated(request.ratings, sessions)
    for problem in problems:
        log.warning("left out: %s", problem)
    return rated


def _places(
    work: WorkFolder, sessions: Sequence[SessionFiles], rated: Mapping[str, Rated]
) -> tuple[Places, list[Stored], list[Acquisition]]:
    """Places to learn from, microbleeds of their acquisitions, and the acquisition of each scan."""
    acquisitions: list[Acquisition] = []
    parts, numbers, pace = [], [], Pace(len(sessions))
    for files in sessions:
        own, acquisition = work.places(files, rated.get(files.label))
        if acquisition not in acquisitions:
            acquisitions.append(acquisition)
        numbers.append(acquisitions.index(acquisition))
        parts.append(replace(own, acquisition=np.full_like(own.acquisition, numbers[-1])))
        counts = ", ".join(f"{(own.kind == k).sum()} {k.name.lower()}" for k in Kind)
        _say(f"{files.label}: {counts} ({pace.next()})")
    shadows, pace = [], Pace(len(acquisitions))
    for acquisition in acquisitions:
        shadows.append(work.shadows(acquisition))
        _say(f"{acquisition}: {len(shadows[-1])} microbleeds to mix in ({pace.next()})")
    return Places.joined(parts), shadows, [acquisitions[number] for number in numbers]


def _trials(
    work: WorkFolder,
    sessions: Sequence[SessionFiles],
    model: LesionModel,
    spots: SecondLook | None,
    device: str,
) -> tuple[HeldBack, list[Acquisition]]:
    """Candidates of the scans held back, and the acquisition of each scan."""
    each, acquisitions, pace = [], [], Pace(len(sessions))
    for files in sessions:
        mirrored = bool(read_sidecar(files.probability).get("Mirrored", True))
        trials, acquisition = work.trials(
            files, partial(chain_of, model, device, mirrored), 2 * DRAWS, spots
        )
        each.append(trials)
        acquisitions.append(acquisition)
        drawn = sum(len(trial.implants) for trial in trials)
        _say(f"{files.label}: {len(trials[0].marks)} candidates, {drawn} drawn ({pace.next()})")
    held_back = HeldBack.of(each)
    if not any(len(trial.implants) for trial in held_back.checking):
        raise NoInputError("no place for a simulated microbleed in the scans held back")
    return held_back, acquisitions


def chain_of(model: LesionModel, device: str, mirrored: bool, scan: Background) -> Chain:
    """What proposes candidates in a scan: the nnU-Net alone, then CFPR as by default.

    Parameters
    ----------
    model
        The one that is adapted.
    device
        ``cpu``, ``cuda`` or ``cuda:N``.
    mirrored
        Whether the network averages over mirrored images.
    scan
        Its slices say whose regions CFPR goes by.
    """
    alone = LesionNetwork(replace(model, second_look=None), device, mirror=mirrored)
    own_regions = why_not_its_regions(model.classes, scan.affine) is None
    return Chain(network=alone, own_regions=own_regions, decisions=Decisions(threshold=EXTENT))
