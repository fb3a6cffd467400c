"""``--parcellation auto`` and ``atlas``: what somebody has made, or the app itself.

The latter, our own network and a deformable atlas, needs no program and is made where neither
finds anything (:func:`cmb_bidsapp.anatomy.atlas.parcellate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cmb_bidsapp.anatomy.backend import (
    Backend,
    ParcellationRequest,
    ParcellationSource,
    existing,
)
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.core.reference import Reference


class Embedded:
    """The app's own parcellation, whatever there is to reuse."""

    help = "embedded network and a deformable atlas"
    program: str | None = None
    licensed = False

    def _others(self) -> Sequence[Backend]:
        """Those whose outputs satisfy it."""
        return ()

    @property
    def cite(self) -> Mapping[str, tuple[Reference, ...]]:
        """The kinds of outputs that satisfy it: those of the others, if any."""
        return {kind: texts for other in self._others() for kind, texts in other.cite.items()}

    def outputs(
        self, folder: Path, participant: str, session: str | None
    ) -> Iterator[ExistingParcellation]:
        """Outputs of the others, if any.

        Parameters
        ----------
        folder
            Output of another app.
        participant, session
            Labels without ``sub-`` and ``ses-``; a session of ``None``: those of no session.
        """
        for other in self._others():
            yield from other.outputs(folder, participant, session)

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
        return next(existing(self, request.given, participant, session), None)

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

    def _others(self) -> Sequence[Backend]:
        return [one for one in self._backends.values() if one is not self]
