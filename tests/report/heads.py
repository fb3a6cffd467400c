"""A small head with candidates, finished as the app finishes a session."""

import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.quality import COLUMNS as QUALITY_COLUMNS
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.bids.outputs import sidecar_of, write_image, write_json
from cmb_bidsapp.bids.tables import write_table
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.core.labels import LEFT, MARS, RIGHT
from cmb_bidsapp.lesions.candidates import measure
from cmb_bidsapp.lesions.cfpr import judge
from cmb_bidsapp.lesions.instances import find_instances
from cmb_bidsapp.lesions.rules import cfpr_rule, to_lesions
from cmb_bidsapp.lesions.table import write_lesions
from cmb_bidsapp.report.closeups import Periphery
from cmb_bidsapp.report.figures import session_figures
from cmb_bidsapp.report.participant import write_participant_report
from cmb_bidsapp.report.sessions import ReportedSession
from cmb_bidsapp.settings import Settings

#: Voxel to world (mm): the first axis runs to the left, slices are 4 mm apart.
AFFINE = np.array([[-1.0, 0, 0, 24], [0, 1, 0, -28], [0, 0, 4, -20], [0, 0, 0, 1]])
SHAPE = (48, 56, 11)
#: World (mm) of two microbleeds, in the right frontal lobe and the left thalamus.
RIGHT_FRONTAL, LEFT_THALAMUS = (10, 12, 8), (-8, -6, 0)
#: World (mm) of a candidate at the rim of the brain.
RIM = (0, 27, 0)


def session_of(root: Path, participant="01", session=None, notes=(), *, t1w=True) -> Session:
    def scan(suffix):
        path = root / "bids" / f"sub-{participant}" / "anat" / f"sub-{participant}_{suffix}.nii.gz"
        return Scan(
            path=path,
            entities={"suffix": suffix},
            metadata={"MagneticFieldStrength": 3, "EchoTime": 0.02},
            voxel_mm3=1.0,
        )

    scans = {contrast: scan(contrast) for contrast in (*Contrast,)[: 1 + t1w]}
    return Session(participant=participant, session=session, scans=scans, notes=tuple(notes))


def settings_of(root: Path, **options) -> Settings:
    return Settings(
        bids_dir=root / "bids", out_dir=root / "out", levels=("participant",), **options
    )


def tilted(degrees):
    """The same voxels with the head turned about its axis from ear to ear."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[1:3, 1:3] = [[c, -s], [s, c]]
    return turn @ AFFINE


def head(affine=AFFINE):
    """Images of a head by the name of its file."""
    voxels = np.stack(np.indices(SHAPE), axis=-1)
    x, y, z = np.moveaxis(apply_affine(affine, voxels), -1, 0)
    brain = ((x / 20) ** 2 + (y / 25) ** 2 + (z / 17) ** 2 < 1).astype(np.uint8)
    core = (x / 18) ** 2 + (y / 23) ** 2 + (z / 15) ** 2 < 1
    deep = np.hypot(x, y) < 12
    mars = np.where(deep, MARS["thalamus"], MARS["frontal"]) + np.where(x > 0, RIGHT, LEFT)
    return {
        "t2star_brain": brain,
        "proxy": brain * np.where(deep, 2, 1).astype(np.uint8),
        "network_labels": brain * np.where(deep, 2, 1).astype(np.uint8),
        "mars": (brain * mars).astype(np.uint8),
        "t2star": (brain * np.where(core, 60 + y / 5, 120)).astype(np.float32),
        "t1w_on_t2star": (brain * np.where(deep, 160, 120)).astype(np.float32),
    }


def finish_session(
    root: Path,
    participant="01",
    session=None,
    places=(RIGHT_FRONTAL, LEFT_THALAMUS, RIM),
    *,
    t1w=True,
    mode="paper",
    affine=AFFINE,
    parcellation="embedded",
    notes=(),
) -> SessionFiles:
    """Write the derivatives of a session that has a candidate of 3 x 3 x 1 voxels at each place.

    Each head is made once; a test gets files of its own.
    """
    how = (tuple(places), t1w, mode, tuple(map(tuple, affine)), parcellation, tuple(notes))
    made = _finished(participant, session, *how)
    shutil.copytree(made.name, root / "out", dirs_exist_ok=True)
    return SessionFiles(root / "out", participant, session)


@cache
def _finished(participant, session, places, t1w, mode, rows, parcellation, notes):
    """A folder with the derivatives of a session."""
    folder = tempfile.TemporaryDirectory()
    files = SessionFiles(Path(folder.name), participant, session)
    affine = np.array(rows)
    images = head(affine)
    probability = np.zeros(SHAPE, np.float32)
    for number, place in enumerate(places):
        i, j, k = np.rint(apply_affine(np.linalg.inv(affine), place)).astype(int)
        own = (slice(i - 1, i + 2), slice(j - 1, j + 2), k)
        probability[own] = 0.99999 - 0.0001 * number
        images["t2star"][own] *= 0.1
    if not t1w:
        del images["t1w_on_t2star"]
    for name, data in images.items():
        write_image(getattr(files, name), data, affine, {})
    instances = find_instances(probability, images["t2star"], affine, 0.5)
    write_image(files.instances, instances, affine)
    found = measure(instances, probability, images["t2star"], images["mars"], affine)
    labels = images["network_labels"]
    verdicts = judge(instances, labels, (1, 1, 4), mode=mode)
    knots = ((0.5, 0.2), (0.99999, 0.8))
    rules = [cfpr_rule(verdicts)]
    table = to_lesions(found, verdicts, rules, min_diameter=2, calibration=knots)
    write_lesions(files.lesions, table)
    session_figures(files, table, Periphery(mode, 2.0))
    registered = {"MaskDice": 0.95, "MutualInformation": 1.2, "Start": "header", "Attempts": 1}
    sidecars = {
        files.t2star: {
            **({"Registration": registered} if t1w else {}),
            "AnatomyModel": "anatomy-3",
            "BrainExtraction": "embedded",
            "BrainVolumes": {"T2starw": 1200.0},
            "Notes": list(notes),
        },
        files.proxy: {"Parcellation": parcellation},
        files.probability: {
            "Model": "lesions-4",
            "ModelSHA256": "0" * 64,
            "ModelLicense": "Apache-2.0",
        },
    }
    for path, content in sidecars.items():
        write_json(sidecar_of(path), content)
    return folder


def write_measures(files: SessionFiles, measures) -> None:
    write_table(files.quality, list(QUALITY_COLUMNS), (m.row() for m in measures))


def write_report(root: Path, *sessions: Session, failed=None, **options) -> Path:
    """Write the report of sessions of one participant; ``failed`` maps labels to messages."""
    messages = failed or {}
    outcomes = [ReportedSession(one, messages.get(one.session, "")) for one in sessions]
    settings = settings_of(root, **options)
    return write_participant_report(settings, sessions[0].participant, outcomes)


def loaded(path: Path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def words(html):
    """What a reader sees of a piece of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def section(page, name):
    return page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
