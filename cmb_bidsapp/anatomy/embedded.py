"""``--parcellation auto`` and ``atlas``: what somebody has made, or the app itself.

The latter, our own network and a deformable atlas, needs no program and is made where neither
finds anything (:func:`cmb_bidsapp.anatomy.atlas.parcellate`).
"""

from __future__ import annotations

from types import MappingProxyType

from cmb_bidsapp.anatomy.backend import ParcellationRequest, ParcellationSource, first_of
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.anatomy.freesurfer import FreeSurfer
from cmb_bidsapp.anatomy.synthseg import SynthSeg
from cmb_bidsapp.core.reference import Reference


class Embedded:
    """The app's own parcellation, whatever there is to reuse."""

    help = "embedded network and a deformable atlas"
    cite: MappingProxyType[str, tuple[Reference, ...]] = MappingProxyType({})
    makes = False
    licensed = False

    def find(
        self, request: ParcellationRequest, participant: str, session: str | None
    ) -> ExistingParcellation | None:
        """Output of other apps in the folders that are given.

        Parameters
        ----------
        request
            Its ``given`` are the folders.
        participant, session
            Labels without ``sub-`` and ``ses-``.
        """
        return first_of(self.cite, request.given, participant, session)

    def make(self, request: ParcellationRequest, source: ParcellationSource) -> None:
        """Nothing is made here.

        Parameters
        ----------
        request, source
            Without effect: the network runs later, on images that are prepared by then.
        """


class Reuse(Embedded):
    """What -d and --fs-subjects-dir hold, else the app's own parcellation."""

    help = "reuse what -d or --fs-subjects-dir holds, otherwise atlas"
    cite = MappingProxyType({**FreeSurfer.cite, **SynthSeg.cite})
