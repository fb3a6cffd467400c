"""How often the phase tells calcium from microbleeds: simulated patches, and veins of real scans.

Usage: python benchmarks/phase.py [--patches N] [--crops FOLDER] [--whole BIDS_DIR]
FOLDER/NAME/Mag.nii and Phase.nii are gradient echo of people, 4D ones by echo. BIDS_DIR is made by
``cmb_bidsapp simulate --phase``.
"""

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from cmb_bidsapp.anatomy.network import AnatomyNetwork
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.images import read_derivative, read_labels
from cmb_bidsapp.bids.outputs import bids_name
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.defaults import ANATOMY_MODEL
from cmb_bidsapp.lesions.convention import dark_structures, find_convention
from cmb_bidsapp.lesions.phase import EVIDENT, Convention, PhaseImage, fit_sources, to_radians
from cmb_bidsapp.lesions.tissues import structures_on
from cmb_bidsapp.models.registry import load_bundle
from cmb_bidsapp.preprocess.swi import homodyne
from cmb_bidsapp.simulate.acquisition import apply_source
from cmb_bidsapp.simulate.grid import ScanGrid
from cmb_bidsapp.simulate.physics import Source
from cmb_bidsapp.simulate.protocols import PROTOCOLS, ScanProtocol
from cmb_bidsapp.simulate.sources import log_uniform
from cmb_bidsapp.simulate.truth import visible_lesions

KINDS = ("microbleed", "calcification", "nothing")
#: Side of a patch (mm), least slices, and share of the signal and phase (rad) that varies in it.
SIDE_MM, SLICES, TEXTURE, SMOOTH_RAD = 32.0, 5, 0.04, 0.1
BLUR_MM = 0.5


def source(kind: str, center: np.ndarray, rng: np.random.Generator) -> Source:
    """A source as simulated heads have them."""
    if kind == "calcification":
        radius = float(rng.uniform(0.5, 2.5))
        return Source(
            kind=kind, chi=-log_uniform(rng, 0.1, 3.0), semi_axes=(radius,) * 3, path=center[None]
        )
    radius = log_uniform(rng, 0.3, 2.4)
    b, c = (radius * float(share) for share in rng.uniform(0.7, 1.0, 2))
    return Source(
        kind=kind, chi=log_uniform(rng, 0.2, 2.0), semi_axes=(radius, b, c), path=center[None]
    )


def smooth_noise(
    shape: tuple[int, ...], mm: float, voxel: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Noise blurred by ``mm`` (standard deviation), its own standard deviation 1."""
    drawn = ndimage.gaussian_filter(rng.standard_normal(shape), mm / voxel)
    return drawn / drawn.std()


def patch(
    kind: str, protocol: ScanProtocol, rng: np.random.Generator
) -> tuple[PhaseImage, np.ndarray] | None:
    """Filtered image with the mask of one visible source, or of none in its place; or ``None``."""
    voxel = np.array(protocol.voxel)
    shape = tuple(int(n) for n in np.maximum(np.ceil(SIDE_MM / voxel), SLICES))
    slab = max(1, round(voxel[2] / 0.5))
    grid = ScanGrid(
        origin=(0.0,) * 3,
        voxel=protocol.voxel,
        shape=shape,
        slab=slab,
        excited=slab,
        in_plane=int(np.ceil(voxel[0] / 0.25)),
    )
    center = (np.array(shape) / 2 + rng.uniform(-0.5, 0.5, 3)) * voxel
    fine = np.ones((*shape[:2], shape[2] * slab), np.complex64)
    apply_source(fine, source(kind, center, rng), grid, protocol, rng)
    sigma = np.array([1, 1, 0]) * rng.uniform(0, BLUR_MM) / voxel
    factor = 1 + ndimage.gaussian_filter(grid.mean_of_slices(fine) - 1, sigma)
    affine = np.diag([*voxel, 1.0])
    loss = np.clip(1 - np.abs(factor), 0, 1).astype(np.float32)
    instances, numbers = visible_lesions(loss, np.ones(shape, np.bool_), affine, center[None])
    if numbers[0] is None:
        return None
    tissue = 1 + TEXTURE * sum(smooth_noise(shape, mm, voxel, rng) for mm in (1.5, 4.0))
    steps = np.indices(shape).T * voxel @ rng.normal(0, 0.05, 3)
    turned = steps.T + SMOOTH_RAD * smooth_noise(shape, 2.0, voxel, rng) + rng.uniform(-3, 3)
    signal = tissue * np.exp(1j * turned) * (1 if kind == "nothing" else factor)
    noise = rng.standard_normal((2, *shape)) / protocol.snr
    signal = signal + noise[0] + 1j * noise[1]
    return filtered(signal, affine), instances


def filtered(signal: np.ndarray, affine: np.ndarray) -> PhaseImage:
    """Magnitude and filtered phase of a complex image."""
    magnitude, phase = np.abs(signal).astype(np.float32), np.angle(signal).astype(np.float32)
    return PhaseImage(magnitude, homodyne(magnitude, phase, affine), affine)


def shares(evidence: list[float]) -> str:
    """Share of each sign."""
    found = np.array(evidence)
    para, dia = (found >= EVIDENT).mean(), (found <= -EVIDENT).mean()
    return f"paramagnetic {para:.3f}, diamagnetic {dia:.3f}, undecided {1 - para - dia:.3f}"


def patches(count: int) -> None:
    """Print the rates by protocol, and of all."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for name, protocol in PROTOCOLS.items():
        for kind in KINDS:
            own: list[float] = []
            while len(own) < count:
                made = patch(kind, protocol, rng)
                if made is not None:
                    own += [fit.evidence for _, fit in fit_sources(*made)]
            found[kind] += own
            print(f"{name:10} {kind:14} {shares(own)}", flush=True)
    for kind, all_of_kind in found.items():
        print(f"{'all':10} {kind:14} {shares(all_of_kind)} (n {len(all_of_kind)})")


def crops(folder: Path) -> None:
    """Print the signs of dark structures of real scans, at several slice thicknesses."""
    for path in sorted(folder.glob("*/Mag.nii*")):
        image = nib.load(path)
        magnitude = np.asarray(image.dataobj, np.float32)
        phase = nib.load(path.with_name(path.name.replace("Mag", "Phase")))
        turned = to_radians(np.asarray(phase.dataobj, np.float32))
        for echo in range(magnitude.shape[3]):
            for thick in (1, 2, 4):
                signal = (magnitude * np.exp(1j * turned))[..., echo]
                whole = signal.shape[2] // thick * thick
                slabs = signal[:, :, :whole].reshape(*signal.shape[:2], -1, thick).mean(3)
                one = filtered(slabs, image.affine @ np.diag([1, 1, thick, 1.0]))
                own = [fit.evidence for _, fit in fit_sources(one, dark_structures(one))]
                where = f"{path.parent.name} echo {echo + 1}, {thick} slices averaged"
                found = find_convention(one)
                print(f"{where}: {len(own)} dark, {shares(own or [0.0])}, {found}")


def whole(bids_dir: Path) -> None:
    """Print the signs of simulated heads: with the true convention, and with the one found."""
    every: dict[str, list[float]] = {}
    network = AnatomyNetwork(load_bundle(ANATOMY_MODEL))
    for folder in sorted(bids_dir.glob("sub-*")):
        label = folder.name.removeprefix("sub-")
        truth = SessionFiles(bids_dir / "derivatives" / "truth", label, None)
        raw = folder / "anat" / bids_name({"sub": label, "part": "{}"}, "T2starw", ".nii.gz")
        if not Path(str(raw).format("phase")).exists():
            # A weighted image (SWI) comes without its phase.
            continue
        read = read_derivative(Path(str(raw).format("mag")))
        phase = read_derivative(Path(str(raw).format("phase"))).data
        magnitude = read.data * (read_labels(truth.t2star_brain).data > 0)
        image = PhaseImage(magnitude, homodyne(magnitude, phase, read.affine), read.affine)
        t2star = Volume(magnitude, read.affine)
        anatomy = network(t2star, Contrast.T2STARW)
        structures = structures_on(Volume(anatomy.structures, anatomy.grid.affine), t2star)
        found: Convention = find_convention(image, structures)
        print(f"sub-{label}: {magnitude.shape}, {found}")
        mimics = read_labels(truth.mimics).data
        calcium = ndimage.label(mimics == 2, np.ones((3, 3, 3)))[0]
        for kind, masks in (
            ("microbleed", read_labels(truth.instances).data),
            ("calcification", calcium),
        ):
            own = [fit.evidence for _, fit in fit_sources(image, masks)]
            # Simulated phase rises with the field. Where no convention is found, none has a sign.
            for how, sign in (("true convention", 1), ("end to end", found.sign)):
                if own:
                    signed = [sign * evidence for evidence in own]
                    every.setdefault(f"{kind}, {how}", []).extend(signed)
                    print(f"  {kind:14} {len(own)}, {how}: {shares(signed)}")
    for name, signed in every.items():
        print(f"all {name}: {shares(signed)} (n {len(signed)})")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=0, metavar="N")
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--whole", type=Path)
    given = parser.parse_args()
    if given.patches:
        patches(given.patches)
    if given.crops:
        crops(given.crops)
    if given.whole:
        whole(given.whole)


if __name__ == "__main__":
    main()
