"""``--parcellation freesurfer``: subjects that are there, else ``recon-all``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource, existing
from cmb_bidsapp.anatomy.existing import (
    ExistingParcellation,
    Naming,
    Telltale,
    images_in,
    is_listed,
)
from cmb_bidsapp.anatomy.synthseg import NOT_SYNTHSEG
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.core.reference import Reference
from cmb_bidsapp.tools.freesurfer import COMMAND, ended_well, run_recon_all

FREESURFER = Reference(
    "Fischl, 2012",
    "Fischl B. FreeSurfer. NeuroImage 2012;62(2):774-781.",
)
FASTSURFER = Reference(
    "Henschel et al., 2020",
    "Henschel L, Conjeti S, Estrada S, Diers K, Fischl B, Reuter M. FastSurfer - a fast "
    "and accurate deep learning based neuroimaging pipeline. NeuroImage 2020;219:117012.",
)
FMRIPREP = Reference(
    "Esteban et al., 2019",
    "Esteban O, Markiewicz CJ, Blair RW, et al. fMRIPrep: a robust preprocessing pipeline "
    "for functional MRI. Nat Methods 2019;16(1):111-116.",
)
#: Between the names of session and template in those of longitudinal subjects.
LONG = ".long."
#: Files of a subject's ``mri`` folder by who wrote them, best first. FastSurfer also leaves an
#: ``aparc+aseg.mgz``; its surfaces' result is better than its network's.
SUBJECT_FILES = (
    ("FastSurfer", "aparc.DKTatlas+aseg.mapped.mgz"),
    ("FastSurfer", "aparc.DKTatlas+aseg.deep.withCC.mgz"),
    ("FastSurfer", "aparc.DKTatlas+aseg.deep.mgz"),
    ("FreeSurfer", "aparc+aseg.mgz"),
)
#: Files in a subject's ``scripts`` whose first word is the version, by who made the subject.
BUILDS = {"FreeSurfer": "build-stamp.txt", "FastSurfer": "build.log"}
#: recon-all-clinical leaves SynthSeg's labels where recon-all leaves its own, and sMRIPrep takes
#: over what it finds there.
TELLTALES = {
    kind: Telltale(NOT_SYNTHSEG, present=kind, absent="SynthSeg")
    for kind in ("FreeSurfer", "sMRIPrep")
}
WHITE_FILES = ("wmparc.mgz", "wmparc.DKTatlas.mapped.mgz")
#: Names of images of sMRIPrep and fMRIPrep, best first.
IMAGES: Mapping[Naming, str] = MappingProxyType(
    {("aparcaseg", ("dseg",)): "sMRIPrep", ("aseg", ("dseg",)): "sMRIPrep"}
)


class FreeSurfer:
    """Subjects of FreeSurfer or FastSurfer and outputs of sMRIPrep, else a run of recon-all."""

    help = "reuse FreeSurfer, FastSurfer or sMRIPrep/fMRIPrep outputs, otherwise run recon-all"
    cite = MappingProxyType(
        {
            "FreeSurfer": (FREESURFER,),
            "FastSurfer": (FASTSURFER,),
            "sMRIPrep": (FMRIPREP, FREESURFER),
        }
    )
    program: str | None = COMMAND
    licensed = True

    def outputs(
        self, folder: Path, participant: str, session: str | None
    ) -> Iterator[ExistingParcellation]:
        """Subjects, then images of sMRIPrep or fMRIPrep.

        Parameters
        ----------
        folder
            FreeSurfer's SUBJECTS_DIR, FastSurfer's output, or BIDS derivatives.
        participant, session
            Labels without ``sub-`` and ``ses-``; ``None``: names without a session.
        """
        yield from _subjects(folder, participant, session)
        yield from images_in(folder, participant, session, IMAGES, TELLTALES["sMRIPrep"])

    def find(
        self, request: ParcellationRequest, participant: str, session: str | None
    ) -> ExistingParcellation | None:
        """Output that is there; subjects that recon-all is to go on with do not count.

        Parameters
        ----------
        request
            Its ``given`` are looked in first, then its ``subjects_dir``.
        participant, session
            Labels without ``sub-`` and ``ses-``.
        """
        for folder in (*request.given, request.subjects_dir):
            for found in existing(self, [folder], participant, session):
                if folder != request.subjects_dir or not _is_to_go_on(found, request):
                    return found
        return None

    def make(self, request: ParcellationRequest, source: ParcellationSource) -> None:
        """Run recon-all, or resume it.

        Parameters
        ----------
        request
            Where the subject goes, the license, and whether recon-all may run or resume.
        source
            The T1w; its label is the name of the subject.

        Raises
        ------
        DataError
            It may not run, or failed.
        CommandMissingError, LicenseError, TemporaryError
            See :func:`cmb_bidsapp.tools.freesurfer.run_recon_all`.
        """
        if not request.run:
            looked = ", ".join(dict.fromkeys(map(str, (*request.given, request.subjects_dir))))
            raise DataError(
                f"no FreeSurfer output of {source.label} in {looked}, and --fs-no-reconall is "
                "set; give its folder with -d, or use --parcellation atlas"
            )
        source.step("FreeSurfer (recon-all)")
        run_recon_all(
            source.t1w,
            source.label,
            request.subjects_dir,
            threads=source.threads,
            license_file=request.license_file,
            resume=request.resume,
        )


def _subjects(
    folder: Path, participant: str, session: str | None
) -> Iterator[ExistingParcellation]:
    """Subjects of FreeSurfer and FastSurfer."""
    name = f"sub-{participant}" + (f"_ses-{session}" if session else "")
    others = (
        [participant]
        if session is None
        else sorted(path.name for path in folder.glob(f"{name}{LONG}*"))
    )
    for subject in (folder / name for name in (name, *others)):
        # The template of a longitudinal run lies between its sessions, in no scan's space.
        if any(subject.glob("base-tps*")):
            continue
        mri = subject / "mri"
        white = next((mri / file for file in WHITE_FILES if is_listed(mri / file)), None)
        for kind, file in SUBJECT_FILES:
            if is_listed(mri / file):
                yield ExistingParcellation(
                    dseg=mri / file,
                    kind=kind,
                    telltale=TELLTALES.get(kind),
                    white=white,
                    subject_dir=subject,
                    version_file=subject / "scripts" / BUILDS[kind],
                )
                break


def _is_to_go_on(found: ExistingParcellation, request: ParcellationRequest) -> bool:
    """Whether recon-all was cut off or failed in a subject, and may run.

    The areas of the cortex are there long before those of the white matter.
    """
    if not request.run or found.kind != "FreeSurfer" or found.subject_dir is None:
        return False
    # Who copies the labels of a subject alone leaves the log out.
    log = found.subject_dir / "scripts" / "recon-all.log"
    return log.is_file() and not ended_well(found.subject_dir)
