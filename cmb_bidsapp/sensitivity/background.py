"""Scans that were processed, read as backgrounds to draw simulated microbleeds into."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmb_bidsapp.bids.derivatives import SessionFiles, ending
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.outputs import read_sidecar
from cmb_bidsapp.core.arrays import Affine, Image, Mask, Regions
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import CMB, LEFT, MARS, MIMICS
from cmb_bidsapp.lesions.axes import ras_zooms
from cmb_bidsapp.lesions.instances import CONNECTIVITY_26, peak_values
from cmb_bidsapp.lesions.lesion import Mimic
from cmb_bidsapp.lesions.tissues import tissues_on
from cmb_bidsapp.models.nnunet import LesionModel

log = logging.getLogger(__name__)

#: Peak probability of a place that is suspected of being a microbleed, and that of its extent.
SUSPECTED, SUSPECTED_EXTENT = 0.05, 0.03
#: The mimics that the truth of a simulated scan names.
MIMIC_OF: Mapping[str, Mimic] = MappingProxyType(
    {"vein": Mimic.VESSEL, "calcification": Mimic.CALCIFICATION}
)
#: A dark voxel this near (mm) to the end of the brain belongs to its edge.
EDGE_MM = 1.5
#: Field strength (T) and echo time (ms) where the sidecar does not tell.
ASSUMED = (3.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class Background:
    """A processed scan, axes in RAS order.

    Attributes
    ----------
    t2star, t1w
        Brain-extracted images on the T2*w grid; a T1w of zeros where there is none.
    affine
        Voxel to world, mm.
    regions
        Proxy classes 1 to 3, 0 outside the brain.
    tissues
        What surrounds a place, see :mod:`cmb_bidsapp.lesions.tissues`; ``None`` where nobody knows.
    suspected
        Pieces that the present lesion model suspects, and mimics that are known.
    marks
        What the app marked, before false-positive reduction; nothing where it has not decided.
    lesions
        Labeled microbleeds, ``None`` where nobody has labeled them.
    doubtful
        What those who labeled called neither.
    mimics
        What is dark in each voxel if it is no microbleed: the number of a member of
        :class:`~cmb_bidsapp.lesions.lesion.Mimic`; ``None`` where nobody knows.
    b0, te_ms
        Field strength (T) and echo time (ms).
    """

    t2star: Image
    t1w: Image
    affine: Affine
    regions: Regions
    tissues: Regions | None
    suspected: Mask
    marks: Mask
    lesions: Mask | None
    doubtful: Mask
    mimics: npt.NDArray[np.int8] | None
    b0: float
    te_ms: float

    @property
    def voxel(self) -> tuple[float, float, float]:
        """Voxel size along x, y and z, mm."""
        x, y, z = (float(mm) for mm in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z

    @property
    def milliliters(self) -> float:
        """Volume of the brain that is in the image."""
        return float((self.t2star > 0).sum() * np.prod(self.voxel) / 1000)


def suspected_places(probability: Image, lesions: Mask | None) -> Mask:
    """Pieces that a lesion model suspects, without those at labeled microbleeds.

    Parameters
    ----------
    probability, lesions
        CMB probability, and labeled microbleeds where there are any, on one grid.
    """
    found, count = ndimage.label(probability >= SUSPECTED_EXTENT, CONNECTIVITY_26)
    if not count:
        return np.zeros(probability.shape, np.bool_)
    suspect = np.concatenate([[False], peak_values(probability, found, count) >= SUSPECTED])
    if lesions is not None:
        suspect[np.unique(found[ndimage.binary_dilation(lesions, iterations=2)])] = False
    places: Mask = suspect[found]
    return places


def without_lesions(classes: Regions, brain: Mask) -> Regions:
    """Proxy classes of a lesion network, microbleeds given the class nearest to them.

    Parameters
    ----------
    classes, brain
        Predicted classes, and the brain that is to be filled, on one grid.
    """
    known = (classes > 0) & (classes != CMB)
    if not known.any():
        return np.zeros(classes.shape, np.uint8)
    if (known | ~brain).all():
        return np.where(brain, classes, 0).astype(np.uint8)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    regions: Regions = np.where(brain, np.where(known, classes, classes[tuple(nearest)]), 0)
    return regions.astype(np.uint8)


def mimics_of(
    known: Regions, mars: npt.NDArray[np.integer], brain: Mask, voxel: Sequence[float]
) -> npt.NDArray[np.int8]:
    """What is dark in each voxel if it is no microbleed: numbers of the members of :class:`Mimic`.

    Parameters
    ----------
    known
        Mimics that the truth names: values of :data:`~cmb_bidsapp.core.labels.MIMICS`.
    mars
        Regions of the MARS form, with their side.
    brain
        What is in the image, on the same grid.
    voxel
        Voxel size, mm.
    """
    numbers = {mimic: number for number, mimic in enumerate(Mimic)}
    mimics = np.full(known.shape, numbers[Mimic.OTHER], np.int8)
    mimics[mars % LEFT == MARS["basal-ganglia"]] = numbers[Mimic.IRON]
    outside = ndimage.distance_transform_edt(brain, voxel)
    mimics[outside <= EDGE_MM] = numbers[Mimic.EDGE]
    # The field of a mimic reaches beyond what it darkens as a microbleed would.
    for value, name in MIMICS.items():
        near = ndimage.binary_dilation(known == value, CONNECTIVITY_26)
        mimics[near] = numbers[MIMIC_OF[name]]
    return mimics


def read_background(files: SessionFiles, labeled: SessionFiles | None) -> Background:
    """Read what the app wrote about a session, and the masks of its labeled microbleeds.

    Parameters
    ----------
    files
        The session's derivatives.
    labeled
        Those of its truth, or of labeled masks; ``None`` where nothing is labeled.
    """
    t2star = read_derivative(files.t2star)
    affine = t2star.affine
    orientation = nib.orientations.io_orientation(affine)

    def ras(data: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.ascontiguousarray(nib.orientations.apply_orientation(data, orientation))

    image = ras(t2star.data.astype(np.float32)).astype(np.float32)
    t1w = np.zeros_like(image)
    if files.t1w_on_t2star.exists():
        t1w = ras(read_derivative(files.t1w_on_t2star).data).astype(np.float32)
    source = files.proxy if files.proxy.exists() else files.network_labels
    regions = without_lesions(ras(read_labels(source).data).astype(np.uint8), image > 0)
    tissues = None
    if files.structures.exists():
        tissues = ras(tissues_on(read_labels(files.structures), t2star)).astype(np.uint8)
    lesions, doubtful = None, np.zeros(image.shape, np.bool_)
    if labeled is not None:
        lesions = ras(read_labels(labeled.mask).data).astype(bool)
        if labeled.ignored.exists():
            doubtful = ras(read_labels(labeled.ignored).data).astype(bool)
    marks = np.zeros(image.shape, np.bool_)
    if files.raw_mask.exists():
        marks = ras(read_labels(files.raw_mask).data).astype(bool)
    suspected = np.zeros(image.shape, np.bool_)
    if files.probability.exists():
        probability = ras(read_derivative(files.probability).data).astype(np.float32)
        suspected = suspected_places(probability, lesions)
    mimics = None
    if labeled is not None and labeled.mimics.exists():
        known = ras(read_labels(labeled.mimics).data).astype(np.uint8)
        suspected |= known > 0
        mars = ras(read_labels(labeled.mars).data).astype(np.int16)
        mimics = mimics_of(known, mars, image > 0, ras_zooms(affine))
    b0, te_ms = _acquisition(files.t2star)
    return Background(
        t2star=image,
        t1w=t1w,
        affine=affine @ nib.orientations.inv_ornt_aff(orientation, t2star.data.shape),
        regions=regions,
        tissues=tissues,
        suspected=suspected,
        marks=marks,
        lesions=lesions,
        doubtful=doubtful,
        mimics=mimics,
        b0=b0,
        te_ms=te_ms,
    )


def refuse_other_model(model: LesionModel, files: SessionFiles) -> None:
    """Refuse a model that did not make the results of a session.

    Parameters
    ----------
    model
        The one that is to measure.
    files
        The session's derivatives.

    Raises
    ------
    DataError
        The sidecar of the probability names another one.
    """
    made = read_sidecar(files.probability)
    if made.get("ModelSHA256") != model.sha256:
        raise DataError(
            f"{files.probability}: made by {made.get('Model', 'an unknown model')}, not by "
            f"{model.name}; name that model with --model, or run the participant level again"
        )


def _acquisition(image: Path) -> tuple[float, float]:
    told = read_sidecar(image)
    field, echo = told.get("MagneticFieldStrength"), told.get("EchoTime")
    if not (isinstance(field, int | float) and isinstance(echo, int | float)):
        log.warning("%s: no field strength or echo time; %g T, %g ms assumed", image.name, *ASSUMED)
        return ASSUMED
    return float(field), 1000 * float(echo)


def processed_sessions(derivatives: Path) -> list[SessionFiles]:
    """Sessions of an output folder that have a preprocessed T2*w, by participant and session."""
    end = ending(lambda files: files.t2star)
    found = []
    for path in sorted(derivatives.glob(f"sub-*/**/*{end}")):
        entities = dict(part.split("-", 1) for part in path.name.removesuffix(end).split("_"))
        if entities.keys() <= {"sub", "ses"}:
            found.append(SessionFiles(derivatives, entities["sub"], entities.get("ses")))
    return found
