"""``--parcellation synthseg``: its output where it is there, else ``mri_synthseg``."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource, first_of
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.core.reference import Reference

SYNTHSEG = Reference(
    "Billot et al., 2023",
    "Billot B, Greve DN, Puonti O, et al. SynthSeg: segmentation of brain MRI scans of any "
    "contrast and resolution without retraining. Med Image Anal 2023;86:102789.",
)


class SynthSeg:
    """Output of SynthSeg, else a run of it."""

    help = "reuse SynthSeg outputs, otherwise run mri_synthseg"
    cite = MappingProxyType({"SynthSeg": (SYNTHSEG,)})
    program: str | None = "mri_synthseg"
    licensed = False

    def find(
        self, request: ParcellationRequest, participant: str, session: str | None
    ) -> ExistingParcellation | None:
        """Output that is there.

        Parameters
        ----------
        request
            Its ``given`` are looked in first, then what has been made here.
        participant, session
            Labels without ``sub-`` and ``ses-``.
        """
        return first_of(self.cite, (*request.given, _made(request)), participant, session)

    def make(self, request: ParcellationRequest, source: ParcellationSource) -> None:
        """Run mri_synthseg.

        Parameters
        ----------
        request
            Its ``sourcedata`` is where the output goes.
        source
            The T1w, threads and device.

        Raises
        ------
        DataError, CommandMissingError, TemporaryError
            See :func:`cmb_bidsapp.tools.synthseg.run_synthseg`.
        """
        # It writes images with nibabel, which the command line does without.
        from cmb_bidsapp.tools.synthseg import run_synthseg

        source.step("SynthSeg")
        output = _made(request) / f"{source.label}_desc-synthseg_dseg.nii.gz"
        run_synthseg(source.t1w, output, threads=source.threads, device=source.device)


def _made(request: ParcellationRequest) -> Path:
    return request.sourcedata / "synthseg"
