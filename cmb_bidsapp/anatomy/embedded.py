"""``--parcellation auto`` and ``atlas``: what somebody has made, or the app itself.

The latter, our own network and a deformable atlas, needs no program and is made where neither
finds anything (:func:`cmb_bidsapp.anatomy.atlas.parcellate`).
"""

from __future__ import annotations

from collections.abc import Mapping

from cmb_bidsapp.anatomy.backend import (
    Backend,
    ParcellationRequest,
    ParcellationSource,
    first_of,
)
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.core.reference import Reference


class Embedded:
    """The app's own parcellation, whatever there is to reuse."""

    help = "embedded network and a deformable atlas"
    program: str | None = None
    licensed = False

    @property
    def cite(self) -> Mapping[str, tuple[Reference, ...]]:
        """Outputs of no kind satisfy it."""
        return {}

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
    """What -d and --fs-subjects-dir hold, else the app's own parcellation.

    Parameters
    ----------
    backends
        Those whose outputs satisfy it, by name; it may be among them.
    """

    help = "reuse what -d or --fs-subjects-dir holds, otherwise atlas"

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends

    @property
    def cite(self) -> Mapping[str, tuple[Reference, ...]]:
        """The kinds of outputs that satisfy any of the others."""
        others = (one for one in self._backends.values() if one is not self)
        return {kind: texts for other in others for kind, texts in other.cite.items()}
