"""The table of parcellation backends, and the parcellation that a session gets by it."""

from __future__ import annotations

from cmb_bidsapp.anatomy.backend import Backend, ParcellationRequest, ParcellationSource
from cmb_bidsapp.anatomy.embedded import Embedded, Reuse
from cmb_bidsapp.anatomy.existing import ExistingParcellation
from cmb_bidsapp.anatomy.freesurfer import FreeSurfer
from cmb_bidsapp.anatomy.synthseg import SynthSeg
from cmb_bidsapp.core.reference import Reference

#: Values of ``--parcellation``. Imports of these modules are light: ``--help`` shows the table.
BACKENDS: dict[str, Backend] = {}
BACKENDS |= {
    "auto": Reuse(BACKENDS),
    "freesurfer": FreeSurfer(),
    "synthseg": SynthSeg(),
    "atlas": Embedded(),
}


def find_parcellation(
    request: ParcellationRequest, participant: str, session: str | None
) -> ExistingParcellation | None:
    """Output that is there and satisfies the request.

    Parameters
    ----------
    request
        Its ``wanted`` is a key of :data:`BACKENDS`.
    participant, session
        Labels without ``sub-`` and ``ses-``.
    """
    return BACKENDS[request.wanted].find(request, participant, session)


def obtain_parcellation(
    request: ParcellationRequest, source: ParcellationSource
) -> ExistingParcellation | None:
    """Output that is there, or made now; ``None`` where the embedded parcellation is to be made.

    Parameters
    ----------
    request
        Its ``wanted`` is a key of :data:`BACKENDS`.
    source
        The T1w that is labeled, where a program has to run.

    Raises
    ------
    DataError
        There is none and the program may not run, or it failed.
    CommandMissingError, LicenseError, TemporaryError
        See :mod:`cmb_bidsapp.tools.freesurfer`, :mod:`cmb_bidsapp.tools.synthseg`.
    """
    backend = BACKENDS[request.wanted]
    found = backend.find(request, source.participant, source.session)
    if found is None and backend.program:
        backend.make(request, source)
        found = backend.find(request, source.participant, source.session)
    return found


def references_of(kind: str) -> tuple[Reference, ...]:
    """What a text cites for outputs of a kind; nothing where no backend knows it."""
    return next((one.cite[kind] for one in BACKENDS.values() if kind in one.cite), ())
