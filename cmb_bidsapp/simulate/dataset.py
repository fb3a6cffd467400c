"""Simulated participants as a BIDS dataset with its ground truth as BIDS derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.proxy import proxy_labels
from cmb_bidsapp.bids.outputs import bids_name, write_image, write_json, write_table, write_text
from cmb_bidsapp.labels import PROXY_NAMES
from cmb_bidsapp.simulate.acquisition import Grid, scan_t1w, scan_t2star
from cmb_bidsapp.simulate.anatomy import Head, deform, rotation
from cmb_bidsapp.simulate.physics import PROTOCOLS, Protocol, Source, Volume, interpolation_matrix
from cmb_bidsapp.simulate.sources import Sites, choose_microbleeds, choose_mimics

Mask = npt.NDArray[np.bool_]

#: A voxel belongs to a microbleed where the lesion takes at least this share of the magnitude ...
LESION_LOSS = 0.25
#: ... and a lesion is visible where it takes this share somewhere, over at least 1 mm in plane.
VISIBLE_LOSS, VISIBLE_DIAMETER_MM = 0.40, 1.0

LESION_COLUMNS = {
    "lesion_id": {"Description": "Value of the lesion in the instance dseg; n/a where not visible"},
    "x": {"Description": "Centre in world coordinates of the T2*w image", "Units": "mm"},
    "y": {"Description": "Centre in world coordinates of the T2*w image", "Units": "mm"},
    "z": {"Description": "Centre in world coordinates of the T2*w image", "Units": "mm"},
    "chi": {"Description": "Susceptibility against water", "Units": "ppm"},
    "true_diameter": {"Description": "Diameter of a sphere of the source's volume", "Units": "mm"},
    "apparent_diameter": {
        "Description": "Diameter of a disc of the largest cross-section in the mask",
        "Units": "mm",
    },
    "volume": {"Description": "Volume in the mask", "Units": "mm3"},
    "region": {"Description": "Proxy class at the centre"},
    "visible": {"Description": "Above the visibility threshold; others are in the ignore mask"},
}
MIMIC_COLUMNS = {
    "kind": {"Description": "vein or calcification"},
    "x": {"Description": "Centre in world coordinates of the T2*w image", "Units": "mm"},
    "y": {"Description": "Centre in world coordinates of the T2*w image", "Units": "mm"},
    "z": {"Description": "Centre in world coordinates of the T2*w image", "Units": "mm"},
    "chi": {"Description": "Susceptibility against water", "Units": "ppm"},
    "diameter": {"Description": "Diameter; of a vessel its calibre", "Units": "mm"},
}


@dataclass(frozen=True)
class Case:
    """One simulated session: images, transform and truth.

    T1w voxel ``i`` lies at ``t1w_affine @ i``; ``t1w_to_t2star`` moves T1w world coordinates to
    T2*w world coordinates (mm). What is not named after the T1w is on the T2*w grid.
    """

    t2star: Volume
    affine: npt.NDArray[np.float64]
    t1w: Volume
    t1w_brain: npt.NDArray[np.uint8]
    t1w_affine: npt.NDArray[np.float64]
    t1w_to_t2star: npt.NDArray[np.float64]
    t1w_on_t2star: Volume
    brain: npt.NDArray[np.uint8]
    proxy: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int16]
    ignore: npt.NDArray[np.uint8]
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
    veins: int = 50,
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
        Number of vessels among the mimics.
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
    fine_proxy = proxy_labels(head.dseg, (1.0, 1.0, 1.0))
    votes = np.stack([grid.to_slices((fine_proxy == k).astype(np.float32)) for k in PROXY_NAMES])
    proxy = (votes.argmax(axis=0) * brain).astype(np.uint8)
    instances, ignore, lesions = _truth(scan.loss, brain, proxy, grid, microbleeds, affine)

    t1w = scan_t1w(head, rng)
    motion = random_rigid(rng, degrees=4, mm=5)
    t1w_affine = np.linalg.inv(motion) @ _translation(-centre)
    return Case(
        t2star=scan.magnitude,
        affine=affine,
        t1w=t1w,
        t1w_brain=head.brain.astype(np.uint8),
        t1w_affine=t1w_affine,
        t1w_to_t2star=motion,
        t1w_on_t2star=_t1w_on(t1w, grid, rng),
        brain=brain,
        proxy=proxy,
        instances=instances,
        ignore=ignore,
        lesions=lesions,
        mimics=[
            {
                "kind": m.kind,
                **dict(zip("xyz", m.path.mean(axis=0) - centre, strict=True)),
                "chi": m.chi,
                "diameter": m.diameter,
            }
            for m in mimics
        ],
        protocol=protocol,
    )


def _translation(offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, 3] = offset
    return affine


def _t1w_on(t1w: Volume, grid: Grid, rng: np.random.Generator) -> Volume:
    """T1w at the T2*w voxel centres, up to half a millimetre off as after registration."""
    matrices = tuple(
        interpolation_matrix(t1w.shape[a], grid.centres(a) + rng.normal(0, 0.3)) for a in range(3)
    )
    x, y, z = matrices
    moved: Volume = np.einsum("xi,yj,zk,ijk->xyz", x, y, z, t1w, optimize=True).astype(np.float32)
    return moved


def _truth(
    loss: Volume,
    brain: npt.NDArray[np.uint8],
    proxy: npt.NDArray[np.uint8],
    grid: Grid,
    microbleeds: Sequence[Source],
    affine: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], list[dict[str, Any]]]:
    """Masks and table of the microbleeds as a rater would draw them."""
    drawn = (loss >= LESION_LOSS) & (brain > 0)
    components, _ = ndimage.label(drawn, np.ones((3, 3, 3)))
    instances = np.zeros(loss.shape, np.int16)
    ignore = ((loss >= LESION_LOSS / 2) & (brain > 0)).astype(np.uint8)
    voxel_mm3 = float(np.prod(grid.voxel))
    rows: list[dict[str, Any]] = []
    to_voxel = np.linalg.inv(affine)
    for source in microbleeds:
        head_offset = np.array(grid.origin) - affine[:3, 3]
        world = source.path[0] - head_offset
        centre = np.round(to_voxel[:3, :3] @ world + to_voxel[:3, 3]).astype(int)
        centre = np.clip(centre, 0, np.array(loss.shape) - 1)
        near = tuple(
            slice(max(0, c - r), c + r + 1)
            for c, r in zip(centre, np.ceil(2.0 / np.array(grid.voxel)).astype(int), strict=True)
        )
        found = components[near]
        component = int(found.flat[int(np.where(found > 0, loss[near], 0).argmax())])
        mask = components == component if component else np.zeros(loss.shape, np.bool_)
        free = bool(mask.any()) and not instances[mask].any()
        area = float(mask.sum(axis=(0, 1)).max()) * grid.voxel[0] * grid.voxel[1]
        diameter = 2 * math.sqrt(area / math.pi)
        strongest = float(loss[mask].max()) if mask.any() else 0.0
        visible = free and strongest >= VISIBLE_LOSS and diameter >= VISIBLE_DIAMETER_MM
        number = 1 + sum(1 for row in rows if row["visible"])
        if visible:
            instances[mask] = number
        rows.append(
            {
                "lesion_id": number if visible else None,
                **dict(zip("xyz", world.tolist(), strict=True)),
                "chi": source.chi,
                "true_diameter": source.diameter,
                "apparent_diameter": diameter if visible else None,
                "volume": float(mask.sum()) * voxel_mm3 if visible else None,
                "region": PROXY_NAMES[int(proxy[tuple(centre)])],
                "visible": visible,
            }
        )
    ignore[ndimage.binary_dilation(instances > 0)] = 0
    return instances, ignore, rows


def write_case(
    bids_dir: Path, truth_dir: Path, entities: dict[str, str | None], case: Case
) -> None:
    """Write one session: raw images into ``bids_dir``, truth into ``truth_dir``."""
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
        "SliceThickness": case.protocol.voxel[2],
        **simulated,
    }
    write_image(raw / name("T2starw"), _int16(case.t2star), case.affine, sequence)
    write_image(raw / name("T1w"), _int16(case.t1w), case.t1w_affine, simulated)

    space = {"space": "T2starw"}
    reference: dict[str, Any] = {"SpatialReference": f"bids:raw:{folder}/anat/{name('T2starw')}"}
    stripped = {**reference, "SkullStripped": True}
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


def simulate_dataset(
    heads: Sequence[Head],
    bids_dir: Path,
    *,
    participants: int,
    protocols: Sequence[str],
    counts: Callable[[np.random.Generator], int],
    seed: int,
    sessions: Callable[[int], Sequence[str | None]] = lambda _: (None,),
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Simulate a cohort; every participant is a new deformation of one of the heads.

    Returns the folder of the truth derivatives, ``bids_dir/derivatives/truth``. Finished sessions
    are left as they are, so an interrupted run goes on where it stopped.
    """
    truth_dir = bids_dir / "derivatives" / "truth"
    describe_dataset(bids_dir, "Simulated microbleeds")
    describe_dataset(truth_dir, "Simulated microbleeds: truth", derivative_of=Path("../.."))
    for number in range(participants):
        label = f"{number + 1:02d}"
        rng = np.random.default_rng((seed, number))
        head = deform(heads[number % len(heads)], rng)
        protocol = PROTOCOLS[protocols[number % len(protocols)]]
        sites = Sites(head)
        for session in sessions(number):
            entities = {"sub": label, "ses": session}
            done = truth_dir / f"sub-{label}" / (f"ses-{session}" if session else "") / "anat"
            last = done / bids_name(
                {**entities, "from": "T1w", "to": "T2starw", "mode": "image"}, "xfm", ".json"
            )
            if not last.exists():
                progress(f"sub-{label}" + (f" ses-{session}" if session else ""))
                case = simulate_case(head, protocol, rng, count=counts(rng), sites=sites)
                write_case(bids_dir, truth_dir, entities, case)
    return truth_dir
