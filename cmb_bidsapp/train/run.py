"""The ``train`` verb: train, then export the bundle with its card."""

from __future__ import annotations

import argparse
import time

import numpy as np

from cmb_bidsapp.core.errors import ExitCode, UsageError
from cmb_bidsapp.models.card import text_problems
from cmb_bidsapp.models.registry import load_bundle, load_lesion_model
from cmb_bidsapp.train.anatomy import train_anatomy
from cmb_bidsapp.train.cases import check_fold, chosen_cases, split_participants
from cmb_bidsapp.train.export import add_second_look, export_anatomy, export_nnunet
from cmb_bidsapp.train.implants import run_implants
from cmb_bidsapp.train.lesions import train_lesions
from cmb_bidsapp.train.second_look import Places, places_of, train_second_look


def run_implanting(given: argparse.Namespace) -> int:
    """Make the training set that the command line names; an interrupted run goes on.

    Raises
    ------
    UsageError
        A number is out of range, or a participant is not there.
    """
    low, high = given.microbleeds
    if not 0 <= low <= high:
        raise UsageError(f"--microbleeds {low} {high}: 0 <= MIN <= MAX is expected")
    if given.draws < 1:
        raise UsageError(f"--draws {given.draws}: at least 1 is expected")
    return run_implants(
        given.derivatives,
        given.output_dir,
        masks=given.masks,
        draws=given.draws,
        microbleeds=(low, high),
        participants=given.participant_label,
        excluded=given.exclude_participant_label,
        seed=given.random_seed,
    )


def run_second_look(given: argparse.Namespace) -> int:
    """Train the network that judges candidates, and put it into the bundle that is named.

    Raises
    ------
    UsageError
        The bundle is none of a lesion model, or participants or folds are not there.
    """
    load_lesion_model(str(given.bundle))
    cases = chosen_cases(
        given.derivatives,
        given.masks,
        participants=given.participant_label,
        excluded=given.exclude_participant_label,
    )
    if given.fold is not None:
        check_fold(given.fold, given.folds)
        names = [case.name for case in cases]
        kept = split_participants(names, given.folds, given.random_seed)[given.fold]["train"]
        cases = [case for case in cases if case.name in kept]
    rng = np.random.default_rng(given.random_seed)
    parts, seen = [], set()
    for case in cases:
        # The draws of one scan share its background.
        parts.append(places_of(case, rng, backgrounds=case.participant not in seen))
        seen.add(case.participant)
        print(f"{case.name}: {parts[-1].true.sum()} of {len(parts[-1].true)} places", flush=True)

    def progress(step: int, loss: float) -> None:
        if step % 100 == 0 or step == given.steps:
            print(f"step {step}/{given.steps}  loss {loss:.4f}", flush=True)

    network = train_second_look(
        Places.joined(parts), steps=given.steps, seed=given.random_seed, progress=progress
    )
    add_second_look(given.bundle, network.state_dict())
    print(f"bundle: {given.bundle}")
    return ExitCode.OK


def run_training(given: argparse.Namespace, device: str) -> int:
    """Train what the command line names, resuming where its work folder says so."""
    card = {
        "name": given.name,
        "version": given.version,
        "licence": given.licence,
        "training_data": given.training_data,
    }
    if problems := list(text_problems(card)):
        raise UsageError("\n".join(problems))
    given.work_dir.mkdir(parents=True, exist_ok=True)
    if given.what == "lesions":
        lesion_model = load_lesion_model(given.start_from) if given.start_from else None
        results = train_lesions(
            given.derivatives,
            given.work_dir,
            truth=given.masks,
            epochs=given.epochs,
            loss=given.loss,
            proxy=given.proxy,
            mimics=given.mimics,
            device=device,
            start_from=lesion_model,
            patch_size=given.patch_size,
            fold=given.fold,
            folds=given.folds,
            seed=given.random_seed,
            participants=given.participant_label,
            excluded=given.exclude_participant_label,
        )
        # The patches of a training may be small; windows of that size would take longer.
        usual = lesion_model.configuration["patch_size"] if lesion_model else None
        export_nnunet(results, given.output_dir, card, patch_size=usual)
    else:
        anatomy_model = load_bundle(given.start_from) if given.start_from else None
        began = time.monotonic()

        def progress(step: int, loss: float) -> None:
            if step % 25 == 0 or step == given.steps:
                seconds = time.monotonic() - began
                print(f"step {step}/{given.steps}  loss {loss:.4f}  {seconds:.0f} s", flush=True)

        weights = train_anatomy(
            given.label_maps,
            given.work_dir / "anatomy.ckpt",
            steps=given.steps,
            seed=given.random_seed,
            device=device,
            start_from=anatomy_model,
            progress=progress,
        )
        export_anatomy(weights, given.output_dir, card, steps=given.steps)
    print(f"bundle: {given.output_dir}")
    return ExitCode.OK
