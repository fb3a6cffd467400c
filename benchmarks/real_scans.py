"""Real scans with points at their microbleeds: read, prepared, segmented; for ``real.py``.

What takes long is kept: preparation once per scan, probabilities once per scan and model.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_image, read_labels
from cmb_bidsapp.bids.outputs import write_image
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.core.arrays import Image, Volume
from cmb_bidsapp.lesions.segment import LesionNetwork, Segmentation, with_regions
from cmb_bidsapp.lesions.tissues import tissues_on
from cmb_bidsapp.models.nnunet import LesionModel
from cmb_bidsapp.models.registry import (
    lesion_model_parameters,
    load_bundle,
    load_lesion_model,
    threshold_of,
)
from cmb_bidsapp.phases.segment import NEGLIGIBLE
from cmb_bidsapp.preprocess.bias import correct_bias
from cmb_bidsapp.preprocess.brain import BrainImage
from cmb_bidsapp.preprocess.resampling import Affine, Grid, resample

Labels = npt.NDArray[np.integer]
#: Whose regions CFPR goes by where a model was trained without.
REGIONS_OF = "lesions"


def sphere_diameter(volume: float) -> float:
    """Diameter (mm) of a sphere of a volume (mm3)."""
    return float((6 * volume / np.pi) ** (1 / 3))


@dataclass(frozen=True)
class Label:
    """A labeled microbleed.

    Attributes
    ----------
    number
        As the table of points has it, or its place in that table.
    center
        RAS mm.
    volume
        mm3; NaN where it is not told.
    """

    number: str
    center: tuple[float, float, float]
    volume: float = float("nan")

    @property
    def diameter(self) -> float:
        """Of the sphere of its volume, mm."""
        return sphere_diameter(self.volume)


@dataclass(frozen=True)
class Scan:
    """A scan with its labels and with what a model sees in it; all images on one grid.

    Attributes
    ----------
    name
        ``sub-106``, or the name of a slab.
    participant, model, threshold
        Whose it is; who looked at it, and the probability that counts as a microbleed.
    t2star, brain, affine
        Preprocessed magnitude, its mask, voxel to world (RAS mm).
    probability, classes
        Of the CMB class; classes as the network predicts them.
    regions
        Proxy classes 1 to 3.
    structures
        Classes of the anatomy network; zeros for slabs.
    """

    name: str
    participant: str
    model: str
    threshold: float
    t2star: Image
    brain: npt.NDArray[np.bool_]
    affine: Affine
    probability: Image
    classes: Labels
    regions: Labels
    structures: Labels
    labels: Sequence[Label]


@dataclass(frozen=True)
class Request:
    """What is asked for: a folder, where results go, and the model of each participant."""

    folder: Path
    out: Path
    models: dict[str, str]
    threshold: float | None
    device: str
    nprocs: int = 1

    def prepared(self, participant: str) -> SessionFiles:
        """A whole scan, prepared now or before."""
        return prepare(self.folder / "whole", participant, self.out / "prepared", self.device)

    def threshold_for(self, model: str) -> float:
        """The one asked for, or the model's own."""
        return self.threshold if self.threshold is not None else threshold_of(model)


def participants_of(folder: Path) -> list[str]:
    """Participants with a whole scan or a slab, such as ``sub-106``."""
    whole = {path.name for path in folder.glob("whole/sub-*") if path.is_dir()}
    return sorted(whole | {path.name.split("_")[0] for path in folder.glob("slabs/*.nii.gz")})


def whole_labels(folder: Path, participant: str) -> list[Label]:
    """Labels of a whole scan, from ``whole_points.tsv``."""
    found = []
    for row in read_table(folder / "whole_points.tsv", ["sub", "id", "x", "y", "z"]):
        if row["sub"] == participant:
            x, y, z = (float(row[axis]) for axis in "xyz")
            found.append(Label(row["id"], (x, y, z), float(row.get("volume_mm3", "nan"))))
    return found


def simulated_labels(folder: Path, participant: str) -> list[Label]:
    """Visible microbleeds of a scan that ``cmb_bidsapp simulate`` wrote into ``whole``."""
    truth = SessionFiles(folder / "whole/derivatives/truth", participant[4:], None)
    found = []
    for row in read_table(truth.lesions):
        if row["visible"] == "true":
            x, y, z = (float(row[axis]) for axis in "xyz")
            found.append(Label(row["source"], (x, y, z), float(row["volume"])))
    return found


def slab_labels(folder: Path, name: str, affine: Affine) -> list[Label]:
    """Labels of a slab, from ``slab_points.tsv``, in the world (mm) of its own header."""
    rows = read_table(folder / "slab_points.tsv", ["file", "i", "j", "k_in_slab"])
    own = [row for row in rows if row["file"] == name]
    found = []
    for number, row in enumerate(own):
        index = [float(row[column]) for column in ("i", "j", "k_in_slab")]
        x, y, z = (affine[:3, :3] @ index + affine[:3, 3]).tolist()
        found.append(Label(str(number), (x, y, z)))
    return found


#: Folder and participant to the labels of a whole scan.
Labeller = Callable[[Path, str], list[Label]]


class Networks:
    """Lesion networks, each opened when a scan first needs it, one kept at a time."""

    def __init__(self, device: str) -> None:
        self.device = device
        #: A network, and the one whose regions it needs, if any.
        self._opened: dict[str, tuple[LesionNetwork, LesionNetwork | None]] = {}

    def __call__(
        self,
        model: str,
        cache: SessionFiles,
        t2star: Image,
        t1w: Image | None,
        affine: Affine,
        structures: Labels | None = None,
    ) -> Segmentation:
        """Segment as the app does, or read what was found before."""
        if not cache.network_labels.exists():
            if model not in self._opened:
                self._opened = {model: self._open(load_lesion_model(model))}
            network, regions_of = self._opened[model]
            tissues = None
            if structures is not None:
                tissues = tissues_on(Volume(structures, affine), Volume(t2star, affine))
            found = network(t2star, t1w, affine, tissues=tissues)
            labels = found.labels
            if regions_of is not None:
                known = regions_of(t2star, t1w, affine).labels
                labels = with_regions(labels, np.where(known <= 3, known, 0))
            likely = np.where(found.cmb_probability < NEGLIGIBLE, 0, found.cmb_probability)
            write_image(cache.probability, likely.astype(np.float32), affine)
            write_image(cache.network_labels, labels, affine)
        labels = read_labels(cache.network_labels).data.astype(np.uint8)
        return Segmentation(labels, read_derivative(cache.probability).data)

    def _open(self, model: LesionModel) -> tuple[LesionNetwork, LesionNetwork | None]:
        network = LesionNetwork(model, self.device)
        if model.classes.regions:
            return network, None
        # The second look has nothing to do with regions, and takes minutes.
        other = replace(load_lesion_model(REGIONS_OF), second_look=None)
        return network, LesionNetwork(other, self.device)


def segmented_in(out: Path, model: str) -> Path:
    """Folder of what a model found; another one once the model's files change."""
    about = json.dumps(dict(lesion_model_parameters(model)), sort_keys=True, default=str)
    return (
        out / "segmented" / f"{Path(model).name}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"
    )


def prepare(dataset: Path, participant: str, out: Path, device: str) -> SessionFiles:
    """Brain mask, N4 and structures of a whole scan, without registration and parcellation.

    A T1w takes part where it lies on the grid of the T2*w. Delete the output folder where the code
    of this step has changed.
    """
    files = SessionFiles(out, participant.removeprefix("sub-"), None)
    done = structures_file(files)
    if done.exists():
        return files
    scans = dataset / participant / "anat"
    read = read_image(scans / f"{participant}_T2starw.nii.gz")
    affine, grid = read.affine, Grid.of(read.data, read.affine)
    anatomy = AnatomyNetwork(load_bundle("anatomy"), device)(read, "T2starw")
    brain = anatomy.brain_mask(grid)
    stripped = correct_bias(BrainImage(read.data, affine, brain)) * brain
    write_image(files.t2star, stripped, affine)
    write_image(files.t2star_brain, brain.astype(np.uint8), affine)
    t1w = scans / f"{participant}_T1w.nii.gz"
    if t1w.exists():
        other = read_image(t1w)
        if Grid.of(other.data, other.affine).is_same_as(grid):
            stripped = correct_bias(BrainImage(other.data, affine, brain)) * brain
            write_image(files.t1w_on_t2star, stripped, affine)
        else:
            print(f"{participant}: the T1w lies on a grid of its own and is left out", flush=True)
    structures = resample(anatomy.structures, anatomy.grid.affine, grid, order=0) * brain
    write_image(done, structures.astype(np.uint8), affine)
    return files


def structures_file(files: SessionFiles) -> Path:
    """Classes of the anatomy network on the T2*w grid."""
    return files.anat("dseg", space="T2starw", desc="structures")


def fast_scans(request: Request, labels: Labeller = whole_labels) -> Iterator[Scan]:
    """Whole scans by mask, N4 and the lesion network alone."""
    networks = Networks(request.device)
    for participant, model in request.models.items():
        if not (request.folder / "whole" / participant).is_dir():
            continue
        files = request.prepared(participant)
        read = read_derivative(files.t2star)
        t2star, affine = read.data, read.affine
        there = files.t1w_on_t2star.exists()
        t1w = read_derivative(files.t1w_on_t2star).data if there else None
        cache = SessionFiles(segmented_in(request.out, model), files.participant, None)
        structures = read_labels(structures_file(files)).data
        found = networks(model, cache, t2star, t1w, affine, structures)
        yield Scan(
            participant,
            participant,
            model,
            request.threshold_for(model),
            t2star,
            read_labels(files.t2star_brain).data > 0,
            affine,
            found.cmb_probability,
            found.labels,
            np.where(found.labels <= 3, found.labels, 0),
            structures,
            labels(request.folder, participant),
        )


def app_scans(request: Request) -> Iterator[Scan]:
    """Whole scans by the whole app, in ``app`` of the output folder; one run per model."""
    out = request.out / "app"
    for model in sorted(set(request.models.values())):
        whole = request.folder / "whole"
        own = [p for p, m in request.models.items() if m == model and (whole / p).is_dir()]
        if not own:
            continue
        asked = ["--participant-label", *(p.removeprefix("sub-") for p in own)]
        asked += ["--model", model, "--device", request.device]
        asked += ["--nprocs", str(request.nprocs), "--omp-nthreads", "1"]
        if request.threshold is not None:
            asked += ["--threshold", str(request.threshold)]
        command = [sys.executable, "-m", "cmb_bidsapp", str(whole), str(out), "participant"]
        subprocess.run([*command, *asked], check=True)
        for participant in own:
            files = SessionFiles(out, participant.removeprefix("sub-"), None)
            t2star = read_derivative(files.t2star)
            yield Scan(
                participant,
                participant,
                model,
                request.threshold_for(model),
                t2star.data,
                read_labels(files.t2star_brain).data > 0,
                t2star.affine,
                read_derivative(files.probability).data,
                read_labels(files.network_labels).data,
                read_labels(files.proxy).data,
                read_labels(structures_file(request.prepared(participant))).data,
                whole_labels(request.folder, participant),
            )


def slab_scans(request: Request) -> Iterator[Scan]:
    """Slabs of 1 to 19 slices by the lesion network alone.

    Brain extraction and N4 need a whole head: the tissue is what is not 0, and the brightness is
    left as it is.
    """
    networks = Networks(request.device)
    for path in sorted((request.folder / "slabs").glob("*.nii.gz")):
        participant, name = path.name.split("_")[0], path.name.removesuffix(".nii.gz")
        model = request.models.get(participant)
        if model is None:
            continue
        # read_image refuses single slices, and rightly so where a head is expected.
        image = nib.load(path)
        t2star = np.asarray(image.dataobj, np.float32)
        affine = np.asarray(image.affine, np.float64)
        folder = segmented_in(request.out, model) / "slabs"
        cache = SessionFiles(folder, name.removeprefix("sub-").replace("_", ""), None)
        found = networks(model, cache, t2star, None, affine)
        yield Scan(
            name,
            participant,
            model,
            request.threshold_for(model),
            t2star,
            t2star > 0,
            affine,
            found.cmb_probability,
            found.labels,
            np.where(found.labels <= 3, found.labels, 0),
            np.zeros(t2star.shape, np.uint8),
            slab_labels(request.folder, name, affine),
        )
