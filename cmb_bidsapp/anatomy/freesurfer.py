"""``--parcellation freesurfer``: subjects that are there, else ``recon-all``."""

from __future__ import annotations

from types import MappingProxyType

from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource
from cmb_bidsapp.anatomy.existing import ExistingParcellation, parcellations_in
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


class FreeSurfer:
    """Subjects of FreeSurfer or FastSurfer and outputs of sMRIPrep, else a run of recon-all."""

    help = "reuse FreeSurfer, FastSurfer or sMRIPrep outputs, otherwise run recon-all"
    cite = MappingProxyType(
        {
            "FreeSurfer": (FREESURFER,),
            "FastSurfer": (FASTSURFER,),
            "sMRIPrep": (FMRIPREP, FREESURFER),
        }
    )
    program: str | None = COMMAND
    licensed = True

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
            for found in parcellations_in(folder, participant, session):
                unfinished = folder == request.subjects_dir and _is_to_go_on(found, request)
                if found.kind in self.cite and not unfinished:
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


def _is_to_go_on(found: ExistingParcellation, request: ParcellationRequest) -> bool:
    """Whether recon-all was cut off or failed in a subject, and may run.

    The areas of the cortex are there long before those of the white matter.
    """
    if not request.run or found.kind != "FreeSurfer" or found.subject_dir is None:
        return False
    # Who copies the labels of a subject alone leaves the log out.
    log = found.subject_dir / "scripts" / "recon-all.log"
    return log.is_file() and not ended_well(found.subject_dir)
