"""Simulated participants as a BIDS dataset with its ground truth as BIDS derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles, raw_uri
from cmb_bidsapp.bids.outputs import write_image, write_json, write_text
from cmb_bidsapp.bids.tables import describe, write_dseg, write_table
from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.simulate.anatomy import Head, deform
from cmb_bidsapp.simulate.case import Case, simulate_case
from cmb_bidsapp.simulate.inclusions import choose_inclusions
from cmb_bidsapp.simulate.person import Person, random_rigid
from cmb_bidsapp.simulate.protocols import ScanProtocol
from cmb_bidsapp.simulate.request import Kept
from cmb_bidsapp.simulate.sharing import shared
from cmb_bidsapp.simulate.sites import Sites
from cmb_bidsapp.simulate.sources import choose_microbleeds, choose_mimics
from cmb_bidsapp.simulate.texture import Texture
from cmb_bidsapp.simulate.truth import (
    LESION_COLUMNS,
    MARS_TRUTH_LOOK,
    MIMIC_COLUMNS,
    MIMIC_LOOK,
)

#: Columns of a simulated ``sessions.tsv``, and the year of the first visit.
TIMES = {
    "session_id": describe("Session"),
    "acq_time": describe("Simulated time of the visit: January 1 of successive years"),
}
FIRST_YEAR = 2001
#: How far the head may lie from where it lay in the first session, about each axis and along it.
POSE_DEGREES, POSE_MM = 6.0, 8.0


def write_case(raw: SessionFiles, truth: SessionFiles, case: Case, *, phase: bool = False) -> None:
    """Write one session: raw images, and what is true of them.

    Parameters
    ----------
    raw, truth
        The session in the datasets of the images and of the truth.
    case
        What is written.
    phase
        Whether the T2*w has two parts, magnitude and phase. A susceptibility-weighted one,
        which goes by ``acq-swi``, is no magnitude and never has.
    """
    simulated = {"Manufacturer": "simulated", "Modality": "MR", "BodyPart": "BRAIN"}
    sequence = {
        "MagneticFieldStrength": case.protocol.b0,
        "EchoTime": case.protocol.te_ms / 1000,
        "SliceThickness": case.protocol.thickness,
        "ProtocolName": case.protocol.name,
        **simulated,
    }
    phase = phase and not case.protocol.swi
    kind = {"acq": "swi"} if case.protocol.swi else {"part": "mag"} if phase else {}
    t2star, t1w = raw.anat("T2starw", **kind), raw.anat("T1w")
    write_image(t2star, _int16(case.t2star), case.affine, sequence)
    if phase:
        radians = {**sequence, "Units": "rad"}
        write_image(raw.anat("T2starw", part="phase"), case.phase, case.affine, radians)
    write_image(t1w, _int16(case.t1w), case.t1w_affine, simulated)

    reference: dict[str, Any] = {"SpatialReference": raw_uri(raw.out_dir, t2star)}
    protocol = {key: sequence[key] for key in ("MagneticFieldStrength", "EchoTime", "ProtocolName")}
    stripped = {**reference, **protocol, "SkullStripped": True}
    mask, manual = {**reference, "Type": "Brain"}, {**reference, "Type": "Lesion"}
    inside = case.brain > 0
    for path, data in (
        (truth.t2star, case.t2star * inside),
        (truth.t1w_on_t2star, case.t1w_on_t2star * inside),
    ):
        write_image(path, _int16(data), case.affine, stripped)
    for path, labels, sidecar in (
        (truth.t2star_brain, case.brain, mask),
        (truth.proxy, case.proxy, reference),
        (truth.instances, case.instances, reference),
        (truth.mask, (case.instances > 0).astype(np.uint8), manual),
        (truth.ignored, case.ignore, manual),
    ):
        write_image(path, labels, case.affine, sidecar)
    write_dseg(truth.mars, case.mars, case.affine, MARS_TRUTH_LOOK, reference)
    write_dseg(truth.mimics, case.mimic_dseg, case.affine, MIMIC_LOOK, reference)
    t1w_mask = {"SpatialReference": raw_uri(raw.out_dir, t1w), "Type": "Brain"}
    write_image(truth.t1w_brain, case.t1w_brain, case.t1w_affine, t1w_mask)
    write_table(truth.lesions, list(LESION_COLUMNS), case.lesions, LESION_COLUMNS)
    write_table(truth.mimic_table, list(MIMIC_COLUMNS), case.mimics, MIMIC_COLUMNS)
    write_json(
        _last_file(truth),
        {"Type": "rigid, world coordinates in mm", "Matrix": case.t1w_to_t2star.tolist()},
    )


def _int16(image: Image) -> npt.NDArray[np.int16]:
    return np.clip(np.round(image), 0, 32767).astype(np.int16)


def describe_dataset(folder: Path, name: str, *, derivative_of: Path | None = None) -> None:
    """Write ``dataset_description.json`` and a README.

    Parameters
    ----------
    folder
        The dataset.
    name
        For a person.
    derivative_of
        Path to the raw dataset, relative to ``folder``; ``None``: this is one.
    """
    description: dict[str, Any] = {"Name": name, "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    generated = [{"Name": "cmb_bidsapp simulate", "Version": __version__}]
    if derivative_of is not None:
        description["DatasetType"] = "derivative"
        description["DatasetLinks"] = {"raw": str(derivative_of)}
        write_text(folder / ".bidsignore", "*_lesions.*\n*_mimics.*\n*_xfm.*\n")
    description["GeneratedBy"] = generated
    write_json(folder / "dataset_description.json", description)
    write_text(
        folder / "README.md",
        f"# {name}\n\nSimulated from label maps by `cmb_bidsapp simulate`, version {__version__}: "
        "no person was scanned. Nothing here may be used for diagnosis.\n",
    )


@dataclass(frozen=True, kw_only=True)
class SimulatedCohort:
    """What a simulated dataset is made of.

    Attributes
    ----------
    heads
        Every participant is a new deformation of one of them, taken in turn.
    protocols
        Taken in turn as well.
    microbleeds
        Least and most sources at first, visible or not.
    free
        Share of the participants that have none at first.
    sessions
        Session labels of those participants (from 0) that have any. The sessions after the first
        are follow-ups: the same head in another position, with what it had and new microbleeds.
    new
        Least and most sources that a follow-up adds.
    unchanged
        Share of the participants whose follow-ups add none.
    follow_up_protocols
        Protocols of the follow-ups, taken in turn by participant; without any, that of the first
        session.
    phase
        Whether to write the phase beside the magnitude.
    textures
        Real textures, one of them drawn for each participant; without any, brains have none.
    kept, t1w_on_t2star
        What is left of the heads, and whether the T1w are resampled to the grid of the T2*w.
    """

    heads: Sequence[Head]
    participants: int
    protocols: Sequence[ScanProtocol]
    microbleeds: tuple[int, int]
    seed: int
    free: float = 0.0
    sessions: Mapping[int, Sequence[str]] = field(default_factory=dict)
    new: tuple[int, int] = (0, 3)
    unchanged: float = 0.0
    follow_up_protocols: Sequence[ScanProtocol] = ()
    phase: bool = False
    textures: Sequence[Texture] = ()
    kept: Kept = Kept.WHOLE
    t1w_on_t2star: bool = False

    def protocol(self, number: int, visit: int) -> ScanProtocol:
        """How a participant is scanned.

        Parameters
        ----------
        number
            The participant, from 0.
        visit
            The session, from 0.
        """
        used = self.follow_up_protocols if visit and self.follow_up_protocols else self.protocols
        return used[number % len(used)]

    def changes(self, number: int) -> bool:
        """Whether the follow-ups of a participant may add microbleeds."""
        # Evenly spread, so that small cohorts have both kinds.
        return int((number + 1) * self.unchanged) == int(number * self.unchanged)


def simulate_dataset(
    cohort: SimulatedCohort,
    bids_dir: Path,
    *,
    processes: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Simulate a cohort.

    Returns the folder of the truth derivatives, ``bids_dir/derivatives/truth``. Finished sessions
    are left as they are, so an interrupted run goes on where it stopped.

    Parameters
    ----------
    cohort
        Who is simulated, and how.
    bids_dir
        The raw dataset; the truth goes into a folder of it.
    processes
        Participants at a time.
    progress
        Is told the label of every session that has been made.
    """
    truth_dir = bids_dir / "derivatives" / "truth"
    describe_dataset(bids_dir, "Simulated microbleeds")
    describe_dataset(truth_dir, "Simulated microbleeds: truth", derivative_of=Path("../.."))
    if processes == 1:
        for number in range(cohort.participants):
            for label in simulate_participant(cohort, number, bids_dir, truth_dir):
                progress(label)
        return truth_dir
    # Spawned, not forked: torch has threads.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        simulate = partial(simulate_participant, bids_dir=bids_dir, truth_dir=truth_dir)
        numbers = range(cohort.participants)
        # Each takes its own head along, not all of them.
        heads = [cohort.heads[number % len(cohort.heads)] for number in numbers]
        for made in pool.map(simulate, (replace(cohort, heads=[h]) for h in heads), numbers):
            for label in made:
                progress(label)
    return truth_dir


def simulate_participant(
    cohort: SimulatedCohort, number: int, bids_dir: Path, truth_dir: Path
) -> list[str]:
    """Simulate the sessions of one participant that are not there; returns their labels.

    Parameters
    ----------
    cohort
        Who is simulated, and how.
    number
        The participant, from 0; with the seed of the cohort it determines everything drawn.
    bids_dir, truth_dir
        Datasets of the images and of the truth.
    """
    label = f"{number + 1:02d}"
    sessions = cohort.sessions.get(number, (None,))
    visits = [SessionFiles(truth_dir, label, session) for session in sessions]
    lacking = [visit for visit in visits if not _last_file(visit).exists()]
    made: list[str] = []
    if not lacking:
        return made
    if len(visits) > 1:
        write_times(bids_dir / f"sub-{label}", [f"ses-{session}" for session in sessions])
    rng = np.random.default_rng((cohort.seed, number))
    head = deform(cohort.heads[number % len(cohort.heads)], rng)
    sites = Sites(head)
    free = rng.random() < cohort.free
    low, high = cohort.microbleeds
    count = 0 if free else int(rng.integers(low, high + 1))
    microbleeds, mimics = choose_microbleeds(sites, count, rng), choose_mimics(sites, rng)
    person = Person.of(head, microbleeds, mimics, choose_inclusions(sites, rng))
    textures = cohort.textures
    texture = textures[int(rng.integers(len(textures)))] if textures else None
    of_tissues = deepcopy(rng)
    for order, truth in enumerate(visits):
        lying, tissues = person, None
        if order:
            # Random numbers of its own: the same whichever sessions are there already.
            rng = np.random.default_rng((cohort.seed, number, order))
            low, high = cohort.new if cohort.changes(number) else (0, 0)
            count = int(rng.integers(low, high + 1))
            new = choose_microbleeds(sites, count, rng, present=person.microbleeds)
            person = replace(person, microbleeds=[*person.microbleeds, *new])
            lying = person.moved(random_rigid(rng, POSE_DEGREES, POSE_MM))
            tissues = deepcopy(of_tissues)
        if truth in lacking:
            protocol = cohort.protocol(number, order)
            case = simulate_case(lying, protocol, rng, of_tissues=tissues, texture=texture)
            case = shared(case, cohort.kept, rng, t1w_on_t2star=cohort.t1w_on_t2star)
            write_case(replace(truth, out_dir=bids_dir), truth, case, phase=cohort.phase)
            made.append(truth.label)
    return made


def write_times(folder: Path, sessions: Sequence[str]) -> None:
    """Write the ``sessions.tsv`` of a participant: visits a year apart, at made-up times.

    Parameters
    ----------
    folder
        That of the participant, ``sub-LABEL``.
    sessions
        Their names with ``ses-``, in order.
    """
    rows = [
        {"session_id": name, "acq_time": f"{FIRST_YEAR + order}-01-01T12:00:00"}
        for order, name in enumerate(sessions)
    ]
    write_table(folder / f"{folder.name}_sessions.tsv", list(TIMES), rows, TIMES)


def _last_file(truth: SessionFiles) -> Path:
    """The file that :func:`write_case` writes last: the transform as a matrix."""
    return truth.transform.with_suffix(".json")
