"""The page: what happens to a session, and then to a participant, in which order.

Each function is a phase, and each of its lines a step: what goes in, what comes out. Stamps decide
whether a phase runs; ``levels`` runs the stages and writes the reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from cmb_bidsapp.anatomy.quality import warnings
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.scans import Participant, Session
from cmb_bidsapp.clinical.follow_up import notes_of
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.lesions.candidates import measure
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.lesions.longitudinal import tracks
from cmb_bidsapp.lesions.mimics import mimics_of
from cmb_bidsapp.lesions.phase import signs
from cmb_bidsapp.lesions.presence import histories_of
from cmb_bidsapp.lesions.rules import grounds_of, rules_of, to_lesions
from cmb_bidsapp.lesions.segment import LesionNetwork
from cmb_bidsapp.models.registry import calibration_of, load_lesion_model
from cmb_bidsapp.phases.base import Phase, Result, Step
from cmb_bidsapp.phases.decide import (
    decide_inputs,
    decide_parameters,
    in_mni152,
    namer_of,
    read_segmented,
    write_decisions,
)
from cmb_bidsapp.phases.follow import (
    changes_of,
    draw_tracks,
    follow_inputs,
    follow_parameters,
    in_order,
    look_at,
    read_followed,
    register_sessions,
    remove_results,
    rows_of,
    visits_of,
    write_tracks,
)
from cmb_bidsapp.phases.phase import read_phase, write_phase
from cmb_bidsapp.phases.prepare import (
    load_network,
    measure_anatomy,
    prepare_inputs,
    prepare_parameters,
    refuse_impossible,
    refuse_unusable,
    register,
    strip,
    write_heads,
)
from cmb_bidsapp.phases.regions import find_or_make, label_head, write_quality, write_regions
from cmb_bidsapp.phases.segment import (
    read_channels,
    segment_inputs,
    segment_parameters,
    write_segmentation,
)
from cmb_bidsapp.phases.sensitivity import (
    chain_of,
    read_scan,
    sensitivity_inputs,
    sensitivity_parameters,
)
from cmb_bidsapp.phases.spaces import write_in_spaces
from cmb_bidsapp.report.closeups import Periphery
from cmb_bidsapp.report.figures import session_figures
from cmb_bidsapp.sensitivity.background import refuse_other_model
from cmb_bidsapp.sensitivity.measure import measure_scan
from cmb_bidsapp.sensitivity.tables import write_session
from cmb_bidsapp.settings import Settings


def prepare(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Raw T1w and T2*w -> preprocessed images, brain masks, transform, regions (paper, 3.2).

    Parameters
    ----------
    session
        Raw images of the session.
    files
        Paths of the session's derivatives.
    settings
        Settings of the run.
    step
        Told of every step as it begins.

    Raises
    ------
    RefusedScanError
        An image cannot be used, or what was found in it cannot be a head.
    """
    refuse_unusable(session)
    notes: list[str] = []
    # First of all: a program or license that is not there must not be missed after minutes.
    found = find_or_make(session, settings, step, notes)
    step("loading the networks")
    # The weights of the other network are read again later; they must not turn out hostile then.
    load_lesion_model(settings.lesions.model, settings.lesions.folds)
    network = load_network(settings)
    t2star = strip(session.t2star, Contrast.T2STARW, network, settings, step)
    t1w, registration = None, None
    if session.t1w is not None:
        t1w = strip(session.t1w, Contrast.T1W, network, settings, step)
        step("registration of T1w to T2*w")
        registration = register(t2star, t1w, settings.seed)
    labeled = label_head(t1w or t2star, found, settings, step, notes)
    step("proxy and MARS labels")
    regions = write_regions(labeled, t1w, t2star, registration, files, settings)
    measures = measure_anatomy(t2star, t1w, registration, labeled)
    refuse_impossible(session, measures)
    notes += warnings(measures)
    heads = write_heads(session, t2star, t1w, registration, files, notes)
    return Result((*heads, *regions, *write_quality(measures, files)), tuple(notes))


def segment(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Preprocessed images, tissues -> CMB probability and predicted classes (paper, 2.1).

    Parameters
    ----------
    session
        Raw images of the session; they tell whether there is a T1w.
    files
        Paths of the session's derivatives.
    settings
        Settings of the run.
    step
        Told of every step as it begins.
    """
    step("loading the lesion network")
    model = load_lesion_model(settings.lesions.model, settings.lesions.folds)
    network = LesionNetwork(model, settings.resources.device, mirror=settings.lesions.tta)
    step("segmentation")
    images = read_channels(model, session, files)
    found = network(images.t2star, images.t1w, images.affine, tissues=images.tissues)
    return write_segmentation(found, model, images, session, files, settings)


def decide(session: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Probability and classes -> candidates, CFPR, phase, grades, masks, lesion table, figures.

    Parameters
    ----------
    session
        Raw images of the session; the phase image is read here.
    files
        Paths of the session's derivatives.
    settings
        Settings of the run.
    step
        Told of every step as it begins.
    """
    rule = settings.decisions
    step("candidates")
    found = read_segmented(files)
    instances = find_instances(found.probability, found.t2star, found.affine, rule.threshold)
    candidates = measure(instances, found.probability, found.t2star, found.mars, found.affine)
    step("false-positive reduction (CFPR)")
    grounds = grounds_of(instances, found.classes, found.spacing, rule)
    notes: list[str] = []
    phase, signed = read_phase(session, files, found.t2star, found.affine, notes), None
    if phase is not None:
        step("sign of candidates in the phase")
        signed = signs(phase.image, instances, phase.convention)
        grounds = replace(grounds, signs={n: one.sign for n, one in signed.items()})
    namer = namer_of(settings)
    mimics = mimics_of(namer, found.t2star, instances, found.affine) if namer else None
    lesions = to_lesions(
        candidates,
        grounds.verdicts,
        rules_of(rule, grounds),
        min_diameter=rule.min_size,
        calibration=calibration_of(settings.lesions.model),
        standard=in_mni152(candidates, files),
        signs=signed,
        mimics=mimics,
    )
    step("writing results")
    results = write_decisions(lesions, instances, found.affine, session, files, settings, notes)
    results += write_phase(phase, session, files, settings)
    elsewhere = write_in_spaces(session, files, settings, step)
    step("figures")
    figures = session_figures(files, lesions, Periphery(rule.cfpr_mode, rule.cfpr_radius))
    return Result((*results, *elsewhere, *figures), tuple(notes))


def follow(_: Participant, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """All sessions of a participant -> transforms, microbleeds through time, changes, figures.

    ``files`` are those of the participant; its sessions are all that have a lesion table. One that
    cannot be registered to the first is reported and not counted.

    Parameters
    ----------
    files
        Paths of the participant's derivatives, see :meth:`SessionFiles.together`.
    settings
        Settings of the run.
    step
        Told of every step as it begins.
    """
    remove_results(files)
    order, own = in_order(files, settings)
    sessions = [read_followed(one) for one in own]
    registrations, transforms = register_sessions(sessions, order, settings, step)
    step("microbleeds through time")
    compared, visits = visits_of(sessions, registrations)
    made = tracks(visits)
    evidence, pictures = look_at(made, compared, visits)
    histories = histories_of(made, evidence, [one.protocol for one in compared])
    rows = rows_of(sessions, compared, histories)
    changes = changes_of(sessions, registrations, rows, order, settings)
    step("figures")
    figures = draw_tracks(files, histories, pictures, compared)
    step("writing results")
    tables = write_tracks(files, rows, changes)
    return Result((*tables, *transforms, *figures), tuple(notes_of(changes)))


def sensitivity(_: Session, files: SessionFiles, settings: Settings, step: Step) -> Result:
    """Finished session -> share of simulated microbleeds that all of the above finds in it.

    Nothing else of the session changes.

    Parameters
    ----------
    files
        Paths of the derivatives of a finished session.
    settings
        Settings of the run.
    step
        Told of every step as it begins.
    """
    step("loading the lesion network")
    model = load_lesion_model(settings.lesions.model, settings.lesions.folds)
    refuse_other_model(model, files)
    scan = read_scan(files)
    chain = chain_of(model, scan, files, settings)
    step("simulated microbleeds")
    found = measure_scan(scan, chain, settings.sensitivity, settings.seed)
    step("writing results")
    return Result(tuple(write_session(files, found, chain.decisions.threshold)))


PREPARE = Phase(
    name="prepare", run=prepare, inputs=prepare_inputs, parameters=prepare_parameters, version=13
)
SEGMENT = Phase(
    name="segment", run=segment, inputs=segment_inputs, parameters=segment_parameters, version=11
)
DECIDE = Phase(
    name="decide", run=decide, inputs=decide_inputs, parameters=decide_parameters, version=18
)
FOLLOW = Phase(
    name="follow", run=follow, inputs=follow_inputs, parameters=follow_parameters, version=9
)
SENSITIVITY = Phase(
    name="sensitivity",
    run=sensitivity,
    inputs=sensitivity_inputs,
    parameters=sensitivity_parameters,
    version=5,
)

#: What runs in one process: the phases of a session, that of a participant with several, or the
#: measurement of what is found in a session.
Stage = Literal["session", "follow-up", "sensitivity"]
STAGES: Mapping[Stage, tuple[Phase[Any], ...]] = MappingProxyType(
    {
        "session": (PREPARE, SEGMENT, DECIDE),
        "follow-up": (FOLLOW,),
        "sensitivity": (SENSITIVITY,),
    }
)
