"""The ``sensitivity`` verb: what is found of simulated microbleeds in finished sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from cmb_bidsapp.bids.dataset import complete_bidsignore
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.filters import select_participants
from cmb_bidsapp.bids.images import load_header
from cmb_bidsapp.bids.outputs import read_sidecar
from cmb_bidsapp.bids.scans import Choice, Scan, Session
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core import resources
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.errors import DataError, NoInputError
from cmb_bidsapp.core.resources import Machine, choose_device
from cmb_bidsapp.core.signals import signals_interrupt
from cmb_bidsapp.engine.progress import say
from cmb_bidsapp.levels.ledger import Ledger
from cmb_bidsapp.levels.participant import run_folder, run_stage
from cmb_bidsapp.models.registry import check_lesion_model, load_card, packaged_models
from cmb_bidsapp.report.sensitivity import refresh_report
from cmb_bidsapp.sensitivity.background import processed_sessions
from cmb_bidsapp.sensitivity.request import SensitivityRequest
from cmb_bidsapp.sensitivity.tables import in_words, write_group
from cmb_bidsapp.settings import Lesions, Resources, Settings


def run_sensitivity(request: SensitivityRequest, machine: Machine) -> int:
    """Measure the sessions that the command line names; what is up to date stays.

    Parameters
    ----------
    request
        What the command line asks for.
    machine
        Cores, memory and devices of this machine.

    Returns
    -------
    code
        Exit code.

    Raises
    ------
    UsageError
        A participant is not there.
    NoInputError
        No session is finished.
    """
    settings = _settings(request, machine)
    sessions = _finished(settings.out_dir, request)
    models = _by_model(sessions, request.model)
    for model in models:
        check_lesion_model(model, request.folds)
    choice = Choice(
        sessions=tuple(session for own in models.values() for session in own), skipped=()
    )
    ledger = Ledger(settings.out_dir, choice, "sensitivity")
    with signals_interrupt():
        try:
            ledger.open()
            _measure(models, settings, request.folds, ledger)
            summary = ledger.summary()
        except (KeyboardInterrupt, OSError) as error:
            summary = ledger.broken_off(error)
    print(summary, flush=True)
    return int(summary.code)


def _measure(
    models: Mapping[str, Sequence[Session]],
    settings: Settings,
    folds: Sequence[str],
    ledger: Ledger,
) -> None:
    """Measure the sessions of each model, and say what was found."""
    console = Console()

    # The folder may be of a version that had no such tables.
    complete_bidsignore(settings.out_dir)
    logs = run_folder(settings.out_dir)
    for model, own in models.items():
        chosen = replace(settings, lesions=Lesions(model, folds=tuple(folds)))
        run_stage(own, chosen, logs, console, ledger, "sensitivity")
    for outcome in ledger.outcomes("sensitivity"):
        session = outcome.session
        files = SessionFiles(settings.out_dir, session.participant, session.session)
        if outcome.ok:
            told = in_words(read_table(files.sensitivity))
            say(
                console,
                f"{files.label}: {told or 'no place for a simulated microbleed of 2 to 5 mm'}",
            )
            refresh_report(files)
    for path in write_group(settings.out_dir)[1]:
        say(console, f"group: {path}")


def _settings(request: SensitivityRequest, machine: Machine) -> Settings:
    cores = request.nprocs or machine.cpus.value
    out_dir = request.output_dir.resolve()
    return Settings(
        # The raw data are not needed.
        bids_dir=out_dir,
        out_dir=out_dir,
        levels=(),
        sensitivity=request.draws,
        resources=Resources(
            cores=cores,
            processes=resources.most_sessions(cores, machine.memory.value, None),
            device=choose_device(request.device, machine.gpus),
        ),
        force=request.force,
        seed=request.random_seed,
    )


def _finished(out_dir: Path, request: SensitivityRequest) -> list[SessionFiles]:
    """Sessions that have been decided on, of the participants that are asked for."""
    sessions = [files for files in processed_sessions(out_dir) if files.mask.exists()]
    if not sessions:
        raise NoInputError(f"{out_dir}: no finished session; run the participant level first")
    chosen = select_participants(
        [files.participant for files in sessions],
        request.participant_label,
        request.exclude_participant_label,
    )
    return [files for files in sessions if files.participant in chosen]


def _by_model(sessions: Sequence[SessionFiles], named: str | None) -> dict[str, list[Session]]:
    """Sessions by the lesion model that made their results.

    Raises
    ------
    DataError
        It is not a packaged one, and none is named.
    """
    if named is not None:
        return {named: [_as_session(files) for files in sessions]}
    known = {}
    for name in packaged_models():
        card = load_card(name)
        known[f"{card.name}-{card.version}"] = name
    found: dict[str, list[Session]] = {}
    for files in sessions:
        model = str(read_sidecar(files.probability).get("Model", "an unknown model"))
        if model not in known:
            raise DataError(
                f"{files.probability}: made by {model}, which is not packaged; give it with --model"
            )
        found.setdefault(known[model], []).append(_as_session(files))
    return found


def _as_session(files: SessionFiles) -> Session:
    """A finished session, its preprocessed image in the place of the raw one."""
    zooms = load_header(files.t2star)[0].header.get_zooms()[:3]
    volume = float(zooms[0] * zooms[1] * zooms[2])
    scan = Scan(path=files.t2star, entities={"suffix": "T2starw"}, metadata={}, voxel_mm3=volume)
    return Session(
        participant=files.participant, session=files.session, scans={Contrast.T2STARW: scan}
    )
