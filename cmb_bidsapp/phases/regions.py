"""Steps that give a head its regions: parcellation, MARS map, proxy classes (paper, 2.1)."""

from __future__ import annotations

from pathlib import Path

from nibabel.affines import apply_affine

from cmb_bidsapp.anatomy.atlas import aligned, parcellate
from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource
from cmb_bidsapp.anatomy.backends import BACKENDS, find_parcellation, obtain_parcellation
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.anatomy.jhu import capsules, read_jhu
from cmb_bidsapp.anatomy.mars import mars_labels, on_grid
from cmb_bidsapp.anatomy.parcellation import Parcellation
from cmb_bidsapp.anatomy.proxy import Capsules
from cmb_bidsapp.anatomy.quality import COLUMNS, Measure
from cmb_bidsapp.anatomy.reuse import check_same_head, has_lobes, read_parcellation
from cmb_bidsapp.anatomy.standard import StandardTransforms, centers, write_field
from cmb_bidsapp.anatomy.talairach import MNI305_TO_MNI152, to_mni305, transform_files
from cmb_bidsapp.anatomy.versions import with_version
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.inputs import Session
from cmb_bidsapp.bids.outputs import atomic
from cmb_bidsapp.bids.tables import write_dseg, write_table
from cmb_bidsapp.core.arrays import Volume
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.labels import MARS_LOOK, PROXY_LOOK, table
from cmb_bidsapp.phases.base import PreparedHead, Step
from cmb_bidsapp.preprocess.registration import Registration
from cmb_bidsapp.preprocess.resampling import IDENTITY
from cmb_bidsapp.settings import Settings


def request_of(settings: Settings) -> ParcellationRequest:
    """What the settings ask of the parcellation."""
    asked = settings.anatomy
    given = asked.derivatives
    if asked.subjects_dir is not None:
        given = (asked.subjects_dir, *given)
    return ParcellationRequest(
        wanted=asked.parcellation,
        given=given,
        subjects_dir=settings.subjects_dir,
        sourcedata=settings.out_dir / "sourcedata",
        license_file=asked.license_file,
        run=asked.run_reconall,
        resume=asked.resume_reconall,
    )


def reused_files(settings: Settings, session: Session) -> list[Path]:
    """Files beside the scans that the regions of a session come from.

    Parameters
    ----------
    settings
        Settings of the run; they name derivatives to use again, and an atlas.
    session
        Raw images of the session; without a T1w only the atlas counts.
    """
    atlas = settings.anatomy.jhu_atlas
    paths = [] if atlas is None else [atlas]
    if session.t1w is None:
        return paths
    found = find_parcellation(request_of(settings), *_of_t1w(session))
    if found is None:
        return paths
    paths += [found.dseg, *([found.white] if found.white else [])]
    if found.subject_dir is not None:
        paths += transform_files(found.subject_dir, to_standard=atlas is not None)
    return paths


def _of_t1w(session: Session) -> tuple[str, str | None]:
    """Participant, and session of the T1w (which may be borrowed)."""
    assert session.t1w is not None
    return session.participant, session.t1w.entities.get("session")


def find_or_make(
    session: Session, settings: Settings, step: Step, notes: list[str]
) -> ExistingParcellation | None:
    """Parcellation of another app, run here where asked; ``None`` is the embedded one.

    Parameters
    ----------
    session
        Its T1w is what is labeled.
    settings
        What is wanted, and what may run.
    step
        Is told what begins.
    notes
        Gets what a person must know.
    """
    asked = request_of(settings)
    backend = BACKENDS[asked.wanted]
    reuses = asked.given and backend.cite and not backend.program
    if session.t1w is None:
        if backend.program:
            notes.append(f"no T1w, so {asked.wanted} cannot run; using the embedded parcellation")
        elif reuses:
            notes.append("no T1w, so no parcellation can be reused; using the embedded one")
        return None
    participant, label = _of_t1w(session)
    found = obtain_parcellation(
        asked,
        ParcellationSource(
            t1w=session.t1w.path,
            participant=participant,
            session=label,
            threads=settings.resources.threads or 1,
            device=settings.resources.device,
            step=step,
        ),
    )
    if found is None and reuses:
        looked = ", ".join(map(str, asked.given))
        notes.append(f"no parcellation to reuse in {looked}; using the embedded one")
    return found


def label_head(
    head: PreparedHead,
    found: ExistingParcellation | None,
    settings: Settings,
    step: Step,
    notes: list[str],
) -> Parcellation:
    """Label a head in FreeSurfer ids: as found, or by the embedded parcellation.

    Parameters
    ----------
    head
        T1w, or T2*w without one.
    found
        Parcellation of another app; ``None``: the embedded one is made.
    settings
        Its seed is that of the alignment.
    step
        Is told what begins.
    notes
        Gets what a person must know.
    """
    if found is None:
        step("parcellation (deformable atlas)")
        return parcellate(head.anatomy, head, seed=settings.seed)
    step(f"parcellation: {with_version(found.kind, found)}")
    labeled = read_parcellation(found)
    check_same_head(labeled, Volume(head.brain, head.affine))
    nameless = not has_lobes(labeled.dseg)
    if nameless:
        notes.append(f"{found.dseg} has no cortical areas; using the lobes of the atlas")
    return aligned(labeled, names=nameless, seed=settings.seed)


def write_regions(
    labeled: Parcellation,
    t1w: PreparedHead | None,
    t2star: PreparedHead,
    registration: Registration | None,
    files: SessionFiles,
    settings: Settings,
) -> list[Path]:
    """Write the parcellation, the ways to MNI152, and MARS map and proxy classes on the T2*w.

    Parameters
    ----------
    labeled
        Regions of the T1w, or of the T2*w without one.
    t1w, t2star
        Each on its own grid; ``None`` without a T1w.
    registration
        Of the T1w to the T2*w; ``None`` without a T1w.
    files
        The session's derivatives.
    settings
        Which white matter is deep, and the atlas for the capsules.
    """
    head = t1w or t2star
    path = files.parcellation("T2starw" if t1w is None else "T1w")
    pull = IDENTITY if registration is None else registration.pull
    names = {index: (label.name, label.color) for index, label in table().items()}
    made_by = {"Parcellation": labeled.source}
    fine = {**head.about, "Resolution": "about 1 mm isotropic, around the brain", **made_by}
    written = write_dseg(path, labeled.dseg, labeled.grid.affine, names, fine)
    atlas = settings.anatomy.jhu_atlas
    rules = settings.anatomy.proxy_rules
    regions = mars_labels(
        labeled, capsules=None if atlas is None else _capsules(labeled, atlas), rules=rules
    )
    proxy, mars = on_grid(regions, labeled.grid, t2star.grid, pull=pull)
    about = {
        **t2star.about,
        "Sources": [files.uri(path)],
        **made_by,
        "ProxyRules": rules,
        "Capsules": "between the nuclei" if atlas is None else f"JHU labels, {atlas.name}",
    }
    for target, labels, look in ((files.proxy, proxy, PROXY_LOOK), (files.mars, mars, MARS_LOOK)):
        written += write_dseg(target, labels * t2star.brain, t2star.affine, look, about)
    return written + _write_ways(_standard(labeled).seen_from(t2star.grid, pull), files)


def _write_ways(ways: StandardTransforms, files: SessionFiles) -> list[Path]:
    fields = {files.to_standard: ways.to_standard, files.from_standard: ways.from_standard}
    for path, field in fields.items():
        with atomic(path) as beside:
            write_field(field, beside)
    return list(fields)


def _standard(labeled: Parcellation) -> StandardTransforms:
    assert labeled.standard is not None, "label_head aligns every head"
    return labeled.standard


def _capsules(labeled: Parcellation, atlas: Path) -> Capsules:
    subject = labeled.subject_dir
    try:
        talairach = None if subject is None else to_mni305(subject)
    except DataError as error:
        raise DataError(f"{error}; fix the file, or omit --jhu-atlas") from error
    points = centers(labeled.grid)
    if talairach is None:
        points = _standard(labeled).to_standard(points)
    else:
        points = apply_affine(MNI305_TO_MNI152 @ talairach, points)
    return Capsules(*capsules(read_jhu(atlas), points))


def write_quality(measures: list[Measure], files: SessionFiles) -> list[Path]:
    """Write the numbers of the anatomy with their limits.

    Parameters
    ----------
    measures
        Numbers with their limits.
    files
        The session's derivatives.
    """
    write_table(files.quality, list(COLUMNS), (m.row() for m in measures), COLUMNS)
    return [files.quality]
