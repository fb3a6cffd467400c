"""``--parcellation synthseg``: its output where it is there, else ``mri_synthseg``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource, existing
from cmb_bidsapp.anatomy.existing import ExistingParcellation, Naming, Telltale, images_in
from cmb_bidsapp.core.reference import Reference

SYNTHSEG = Reference(
    "Billot et al., 2023",
    "Billot B, Greve DN, Puonti O, et al. SynthSeg: segmentation of brain MRI scans of any "
    "contrast and resolution without retraining. Med Image Anal 2023;86:102789.",
)
#: Ids that ``aseg`` has and SynthSeg never writes: vessels, choroid plexus, hypointensities, optic
#: chiasm, corpus callosum.
NOT_SYNTHSEG = (30, 62, 31, 63, 77, 85, 251, 252, 253, 254, 255)
#: Names of its images, best first.
IMAGES: Mapping[Naming, str] = MappingProxyType(
    {
        ("synthseg", ("dseg",)): "SynthSeg",
        ("", ("t1w", "synthseg")): "SynthSeg",
        ("", ("synthseg",)): "SynthSeg",
    }
)


class SynthSeg:
    """Output of SynthSeg, else a run of it."""

    help = "reuse SynthSeg outputs, otherwise run mri_synthseg"
    cite = MappingProxyType({"SynthSeg": (SYNTHSEG,)})
    program: str | None = "mri_synthseg"
    licensed = False

    def outputs(
        self, folder: Path, participant: str, session: str | None
    ) -> Iterator[ExistingParcellation]:
        """Images that SynthSeg has written, or that are named after it.

        Parameters
        ----------
        folder
            Such as SynthSeg's output, or BIDS derivatives.
        participant, session
            Labels without ``sub-`` and ``ses-``; ``None``: names without a session.
        """
        telltale = Telltale(NOT_SYNTHSEG, present="FreeSurfer", absent="SynthSeg")
        return images_in(folder, participant, session, IMAGES, telltale)

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
        folders = (*request.given, _made(request))
        return next(existing(self, folders, participant, session), None)

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
