"""Simulated participants as a BIDS dataset with its ground truth as BIDS derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.mars import on_grid, with_sides
from cmb_bidsapp.anatomy.proxy import tissue_regions, to_proxy
from cmb_bidsapp.bids.outputs import (
    bids_name,
    write_dseg,
    write_image,
    write_json,
    write_table,
    write_text,
)
from cmb_bidsapp.labels import PROXY_NAMES
from cmb_bidsapp.preprocess.resampling import Grid as ImageGrid
from cmb_bidsapp.simulate.acquisition import Grid, scan_t1w, scan_t2star
from cmb_bidsapp.simulate.anatomy import Head, deform, rotation
from cmb_bidsapp.simulate.physics import Source, Volume, interpolation_matrix, resample
from cmb_bidsapp.simulate.protocols import Protocol
from cmb_bidsapp.simulate.sources import Sites, choose_microbleeds, choose_mimics
from cmb_bidsapp.simulate.truth import (
    LESION_COLUMNS,
    MARS_TRUTH_LOOK,
    MIMIC_COLUMNS,
    MIMIC_LOOK,
    lesion_truth,
    mimic_rows,
    mimic_truth,
)

#: Voxels of a head.
ONE_MM = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Case:
    """One simulated session: images, transform and truth.

    T1w voxel ``i`` lies at ``t1w_affine @ i``; ``t1w_to_t2star`` moves T1w world coordinates to
    T2*w world coordinates (mm). What is not named after the T1w is on the T2*w grid.
    """

    t2star: Volume
    phase: Volume
    affine: npt.NDArray[np.float64]
    t1w: Volume
    t1w_brain: npt.NDArray[np.uint8]
    t1w_affine: npt.NDArray[np.float64]
    t1w_to_t2star: npt.NDArray[np.float64]
    t1w_on_t2star: Volume
    brain: npt.NDArray[np.uint8]
    proxy: npt.NDArray[np.uint8]
    mars: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int16]
    ignore: npt.NDArray[np.uint8]
    mimic_dseg: npt.NDArray[np.uint8]
    lesions: list[dict[str, Any]]
    mimics: list[dict[str, Any]]
    protocol: Protocol


def random_rigid(rng: np.random.Generator, degrees: float, mm: float) -> npt.NDArray[np.float64]:
    """A small rigid motion about the origin."""
    motion = np.eye(4)
    motion[:3, :3] = rotation(rng.uniform(-degrees, degrees, 3))
    motion[:3, 3] = rng.uniform(-mm, mm, 3)
    return motion


def simulate_case(
    head: Head,
    protocol: Protocol,
    rng: np.random.Generator,
    *,
    count: int,
    veins: int | None = None,
    sites: Sites | None = None,
    microbleeds: Sequence[Source] | None = None,
) -> Case:
    """Simulate one session of a head.

    Parameters
    ----------
    head
        Anatomy, 1 mm, head space.
    count
        Number of microbleeds to draw, ignored where ``microbleeds`` are given.
    veins
        Number of vessels among the mimics; ``None`` draws it.
    """
    sites = sites or Sites(head)
    grid = Grid.around(head, protocol)
    if microbleeds is None:
        microbleeds = choose_microbleeds(sites, count, rng)
    mimics = choose_mimics(sites, rng, veins)
    scan = scan_t2star(head, protocol, grid, microbleeds, mimics, rng)
    centre = np.argwhere(head.brain).mean(axis=0)
    affine = grid.affine(centre)

    brain = (grid.to_slices(head.brain.astype(np.float32)) > 0.5).astype(np.uint8)
    tissue = np.where(head.brain, head.dseg, 0)
    fine_mars = with_sides(tissue_regions(tissue, ONE_MM), tissue, ONE_MM)
    fine_proxy = to_proxy(fine_mars)
    votes = np.stack([grid.to_slices((fine_proxy == k).astype(np.float32)) for k in PROXY_NAMES])
    proxy = (votes.argmax(axis=0) * brain).astype(np.uint8)
    head_grid = ImageGrid.of(tissue, _translation(-centre))
    _, mars = on_grid(fine_mars, head_grid, ImageGrid.of(brain, affine))
    instances, ignore, lesions = lesion_truth(
        scan.loss, brain, proxy, affine, microbleeds, fine_mars, centre
    )

    t1w = scan_t1w(head, rng)
    motion = random_rigid(rng, degrees=4, mm=5)
    t1w_affine = np.linalg.inv(motion) @ _translation(-centre)
    return Case(
        t2star=scan.magnitude,
        phase=scan.phase,
        affine=affine,
        t1w=t1w,
        t1w_brain=head.brain.astype(np.uint8),
        t1w_affine=t1w_affine,
        t1w_to_t2star=motion,
        t1w_on_t2star=_t1w_on(t1w, grid, rng),
        brain=brain,
        proxy=proxy,
        mars=mars * (to_proxy(mars) == proxy),
        instances=instances,
        ignore=ignore,
        mimic_dseg=mimic_truth(scan.mimic_loss, brain),
        lesions=lesions,
        mimics=mimic_rows(mimics, centre),
        protocol=protocol,
    )


def _translation(offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, 3] = offset
    return affine


def _t1w_on(t1w: Volume, grid: Grid, rng: np.random.Generator) -> Volume:
    """T1w at the T2*w voxel centres, up to half a millimetre off as after registration."""
    x, y, z = (
        interpolation_matrix(t1w.shape[a], grid.centres(a) + rng.normal(0, 0.3)) for a in range(3)
    )
    return resample(t1w, (x, y, z))


def write_case(
    bids_dir: Path,
    truth_dir: Path,
    entities: dict[str, str | None],
    case: Case,
    *,
    phase: bool = False,
) -> None:
    """Write one session: raw images into ``bids_dir``, truth into ``truth_dir``.

    With ``phase`` the T2*w has two parts, magnitude and phase.
    """
    folder = Path(f"sub-{entities['sub']}")
    if entities.get("ses") is not None:
        folder /= f"ses-{entities['ses']}"
    raw, truth = bids_dir / folder / "anat", truth_dir / folder / "anat"

    def name(suffix: str, extension: str = ".nii.gz", **more: str) -> str:
        return bids_name({**entities, **more}, suffix, extension)

    simulated = {"Manufacturer": "simulated", "Modality": "MR", "BodyPart": "BRAIN"}
    sequence = {
        "MagneticFieldStrength": case.protocol.b0,
        "EchoTime": case.protocol.te_ms / 1000,
        "SliceThickness": case.protocol.thickness,
        "ProtocolName": case.protocol.name,
        **simulated,
    }
    if phase:
        write_image(raw / name("T2starw", part="mag"), _int16(case.t2star), case.affine, sequence)
        radians = {**sequence, "Units": "rad"}
        write_image(raw / name("T2starw", part="phase"), case.phase, case.affine, radians)
    else:
        write_image(raw / name("T2starw"), _int16(case.t2star), case.affine, sequence)
    write_image(raw / name("T1w"), _int16(case.t1w), case.t1w_affine, simulated)

    space = {"space": "T2starw"}
    reference: dict[str, Any] = {"SpatialReference": f"bids:raw:{folder}/anat/{name('T2starw')}"}
    protocol = {key: sequence[key] for key in ("MagneticFieldStrength", "EchoTime", "ProtocolName")}
    stripped = {**reference, **protocol, "SkullStripped": True}
    mask, manual = {**reference, "Type": "Brain"}, {**reference, "Type": "Lesion"}
    inside = case.brain > 0
    for path, data, sidecar in (
        (name("T2starw", desc="preproc"), case.t2star * inside, stripped),
        (name("T1w", **space, desc="preproc"), case.t1w_on_t2star * inside, stripped),
    ):
        write_image(truth / path, _int16(data), case.affine, sidecar)
    for path, labels, sidecar in (
        (name("mask", **space, desc="brain"), case.brain, mask),
        (name("dseg", **space, desc="proxy"), case.proxy, reference),
        (name("dseg", **space, desc="CMBinstances"), case.instances, reference),
        (name("mask", **space, label="CMB"), (case.instances > 0).astype(np.uint8), manual),
        (name("mask", **space, label="CMB", desc="ignore"), case.ignore, manual),
    ):
        write_image(truth / path, labels, case.affine, sidecar)
    for desc, dseg, look in (
        ("mars", case.mars, MARS_TRUTH_LOOK),
        ("mimics", case.mimic_dseg, MIMIC_LOOK),
    ):
        write_dseg(truth / name("dseg", **space, desc=desc), dseg, case.affine, look, reference)
    t1w_mask = {"SpatialReference": f"bids:raw:{folder}/anat/{name('T1w')}", "Type": "Brain"}
    write_image(
        truth / name("mask", space="T1w", desc="brain"), case.t1w_brain, case.t1w_affine, t1w_mask
    )
    write_table(
        truth / name("lesions", ".tsv", label="CMB"),
        list(LESION_COLUMNS),
        case.lesions,
        LESION_COLUMNS,
    )
    write_table(
        truth / name("mimics", ".tsv", label="CMB"),
        list(MIMIC_COLUMNS),
        case.mimics,
        MIMIC_COLUMNS,
    )
    write_json(
        truth / name("xfm", ".json", **{"from": "T1w", "to": "T2starw", "mode": "image"}),
        {"Type": "rigid, world coordinates in mm", "Matrix": case.t1w_to_t2star.tolist()},
    )


def _int16(image: Volume) -> npt.NDArray[np.int16]:
    return np.clip(np.round(image), 0, 32767).astype(np.int16)


def describe_dataset(folder: Path, name: str, *, derivative_of: Path | None = None) -> None:
    """Write ``dataset_description.json`` and a README."""
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


@dataclass(frozen=True)
class Cohort:
    """What a simulated dataset is made of.

    Attributes
    ----------
    heads
        Every participant is a new deformation of one of them, taken in turn.
    protocols
        Taken in turn as well.
    microbleeds
        Least and most sources per session, visible or not.
    free
        Share of the sessions without any.
    sessions
        Session labels of those participants (from 0) that have any.
    phase
        Whether to write the phase beside the magnitude.
    """

    heads: Sequence[Head]
    participants: int
    protocols: Sequence[Protocol]
    microbleeds: tuple[int, int]
    seed: int
    free: float = 0.0
    sessions: Mapping[int, Sequence[str]] = field(default_factory=dict)
    phase: bool = False


def simulate_dataset(
    cohort: Cohort,
    bids_dir: Path,
    *,
    processes: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Simulate a cohort.

    Returns the folder of the truth derivatives, ``bids_dir/derivatives/truth``. Finished sessions
    are left as they are, so an interrupted run goes on where it stopped.
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


def simulate_participant(cohort: Cohort, number: int, bids_dir: Path, truth_dir: Path) -> list[str]:
    """Simulate the sessions of one participant that are not there; returns their labels."""
    label = f"{number + 1:02d}"
    rng = np.random.default_rng((cohort.seed, number))
    made: list[str] = []
    wanted = [
        entities
        for session in cohort.sessions.get(number, (None,))
        if not _last_file(truth_dir, entities := {"sub": label, "ses": session}).exists()
    ]
    if not wanted:
        return made
    head = deform(cohort.heads[number % len(cohort.heads)], rng)
    sites = Sites(head)
    for entities in wanted:
        free = rng.random() < cohort.free
        low, high = cohort.microbleeds
        count = 0 if free else int(rng.integers(low, high + 1))
        protocol = cohort.protocols[number % len(cohort.protocols)]
        case = simulate_case(head, protocol, rng, count=count, sites=sites)
        write_case(bids_dir, truth_dir, entities, case, phase=cohort.phase)
        session = entities["ses"]
        made.append(f"sub-{label}" + (f" ses-{session}" if session else ""))
    return made


def _last_file(truth_dir: Path, entities: dict[str, str | None]) -> Path:
    """The file that :func:`write_case` writes last."""
    folder = truth_dir / f"sub-{entities['sub']}"
    if entities["ses"] is not None:
        folder /= f"ses-{entities['ses']}"
    transform = {"from": "T1w", "to": "T2starw", "mode": "image"}
    return folder / "anat" / bids_name({**entities, **transform}, "xfm", ".json")
