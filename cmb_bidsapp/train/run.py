"""The ``train`` verb: train, then export the bundle with its card."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.defaults import ANATOMY_MODEL
from cmb_bidsapp.core.errors import ExitCode, UsageError
from cmb_bidsapp.core.resources import choose_device, cuda_devices
from cmb_bidsapp.lesions.second_look import JUDGES, Judge, SecondLook
from cmb_bidsapp.lesions.segment import second_look_of
from cmb_bidsapp.lesions.tissues import tissues_on
from cmb_bidsapp.models.card import text_problems
from cmb_bidsapp.models.registry import load_bundle, load_lesion_model
from cmb_bidsapp.sensitivity.background import Background, read_background
from cmb_bidsapp.train.anatomy import train_anatomy
from cmb_bidsapp.train.cases import check_fold, split_participants
from cmb_bidsapp.train.export import add_second_look, export_anatomy, export_nnunet
from cmb_bidsapp.train.implants import chosen_sessions, run_implants
from cmb_bidsapp.train.lesions import train_lesions
from cmb_bidsapp.train.mimics import train_namer
from cmb_bidsapp.train.places import (
    SHADOWS,
    Acquisition,
    Kind,
    Places,
    places_of,
    shadows_of,
)
from cmb_bidsapp.train.request import (
    AnatomyRequest,
    BundleRequest,
    ImplantsRequest,
    LesionsRequest,
    SecondLookRequest,
)
from cmb_bidsapp.train.second_look import train_second_look

#: Brain (ml) below which the anatomy network is not asked about tissues: it knows heads, not crops.
LEAST_ML = 300


def run_implanting(request: ImplantsRequest) -> int:
    """Make a training set; an interrupted run goes on.

    Raises
    ------
    UsageError
        A participant is not there.
    """
    return run_implants(
        request.derivatives,
        request.output_dir,
        masks=request.masks,
        draws=request.draws,
        microbleeds=request.microbleeds,
        participants=request.participant_label,
        excluded=request.exclude_participant_label,
        seed=request.random_seed,
    )


def run_second_look(request: SecondLookRequest) -> int:
    """Train the network that judges candidates, and put it into the bundle that is named.

    Raises
    ------
    UsageError
        The bundle is none of a lesion model or has no judges to be left as they are, or
        participants or folds are not there.
    NoInputError
        No session can be used.
    """
    known = second_look_of(load_lesion_model(str(request.bundle)).second_look)
    if request.mimics_only and known is None:
        raise UsageError(f"{request.bundle} has no judges; leave out --mimics-only")
    rng = np.random.default_rng(request.random_seed)
    acquisitions: list[Acquisition] = []
    parts = []
    for label, seen in backgrounds(request):
        if (acquisition := Acquisition.of(seen)) not in acquisitions:
            acquisitions.append(acquisition)
        parts.append(places_of(seen, acquisitions.index(acquisition), rng))
        counts = ", ".join(f"{(parts[-1].kind == k).sum()} {k.name.lower()}" for k in Kind)
        print(f"{label}: {counts}", flush=True)
    places = Places.joined(parts)
    namer = train_namer(places, steps=request.steps, seed=request.random_seed)
    if namer is None:
        print("no labeled vessels, iron or calcium; the network does not learn mimics")
        namer = None if known is None else known.namer
    before = () if known is None else known.members
    if request.mimics_only:
        judges = before
    else:
        own = _judges(places, acquisitions, rng, request)
        # The first one glances at every dark spot: the newest, which should be the best.
        judges = (*own, *before) if request.add else own
    network = SecondLook([*judges], namer)
    add_second_look(request.bundle, network.state_dict(), judges=not request.mimics_only)
    print(f"bundle: {request.bundle}")
    return ExitCode.OK


def _judges(
    places: Places,
    acquisitions: Sequence[Acquisition],
    rng: np.random.Generator,
    request: SecondLookRequest,
) -> tuple[Judge, ...]:
    """Train judges, with microbleeds of every acquisition mixed in."""
    shadows = []
    for acquisition in acquisitions:
        shadows.append(shadows_of(acquisition, SHADOWS, rng))
        print(f"{acquisition}: {len(shadows[-1])} microbleeds to mix in", flush=True)
    last = JUDGES * request.steps

    def progress(step: int, loss: float) -> None:
        if step % 100 == 0 or step == last:
            print(f"step {step}/{last}  loss {loss:.4f}", flush=True)

    seed = request.random_seed
    own = train_second_look(places, shadows, steps=request.steps, seed=seed, progress=progress)
    return own.members


def backgrounds(request: SecondLookRequest) -> Iterator[tuple[str, Background]]:
    """Processed scans to learn from, without those that are left out; each once it is wanted."""
    sessions = chosen_sessions(
        request.derivatives,
        request.masks,
        participants=request.participant_label,
        excluded=request.exclude_participant_label,
    )
    if request.fold is not None:
        check_fold(request.fold, request.folds)
        names = [files.label for files, _ in sessions]
        kept = split_participants(names, request.folds, request.random_seed)[request.fold]["train"]
        sessions = [one for one in sessions if one[0].label in kept]
    for folder in request.also:
        sessions += chosen_sessions(folder, folder)
    anatomy = AnatomyNetwork(load_bundle(ANATOMY_MODEL))
    for files, labeled in sessions:
        yield files.label, with_tissues(read_background(files, labeled), anatomy)


def with_tissues(seen: Background, anatomy: AnatomyNetwork) -> Background:
    """A scan with its tissues as the app would see them, where they are not known yet.

    Parameters
    ----------
    seen
        Of a part of a brain (see :data:`LEAST_ML`) nobody knows them.
    anatomy
        The network that the app goes by.
    """
    if seen.tissues is not None or seen.milliliters < LEAST_ML:
        return seen
    t2star = Volume(seen.t2star, seen.affine)
    found = anatomy(t2star, Contrast.T2STARW)
    return replace(seen, tissues=tissues_on(Volume(found.structures, found.grid.affine), t2star))


def run_lesion_training(request: LesionsRequest) -> int:
    """Train the lesion network, resuming where its work folder says so.

    Raises
    ------
    UsageError
        A text of the card, the device or a participant cannot be used.
    UnavailableError
        There is no such device.
    """
    device = _prepared(request)
    model = load_lesion_model(request.start_from) if request.start_from else None
    results = train_lesions(
        request.derivatives,
        request.work_dir,
        truth=request.masks,
        epochs=request.epochs,
        loss=request.loss,
        proxy=request.proxy,
        mimics=request.mimics,
        device=device,
        start_from=model,
        patch_size=request.patch_size,
        fold=request.fold,
        folds=request.folds,
        seed=request.random_seed,
        participants=request.participant_label,
        excluded=request.exclude_participant_label,
    )
    # The patches of a training may be small; windows of that size would take longer.
    usual = model.configuration["patch_size"] if model else None
    export_nnunet(results, request.output_dir, request.card, patch_size=usual)
    print(f"bundle: {request.output_dir}")
    return ExitCode.OK


def run_anatomy_training(request: AnatomyRequest) -> int:
    """Train the anatomy network, resuming where its work folder says so.

    Raises
    ------
    UsageError
        A text of the card or the device cannot be used.
    UnavailableError
        There is no such device.
    """
    device = _prepared(request)
    began = time.monotonic()

    def progress(step: int, loss: float) -> None:
        if step % 25 == 0 or step == request.steps:
            seconds = time.monotonic() - began
            print(f"step {step}/{request.steps}  loss {loss:.4f}  {seconds:.0f} s", flush=True)

    weights = train_anatomy(
        request.label_maps,
        request.work_dir / "anatomy.ckpt",
        steps=request.steps,
        seed=request.random_seed,
        device=device,
        start_from=load_bundle(request.start_from) if request.start_from else None,
        progress=progress,
    )
    export_anatomy(weights, request.output_dir, request.card, steps=request.steps)
    print(f"bundle: {request.output_dir}")
    return ExitCode.OK


def _prepared(request: BundleRequest) -> str:
    """Check what a training would run into at its end; returns the device."""
    if problems := list(text_problems(request.card)):
        raise UsageError("\n".join(problems))
    device = choose_device(request.device, cuda_devices)
    request.work_dir.mkdir(parents=True, exist_ok=True)
    return device
