"""Where a lesion lies: what the tables of both sides say of it, or the regions below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.evaluation.comparison import Place
from cmb_bidsapp.evaluation.matching import Affine, lesions_of
from cmb_bidsapp.evaluation.reading import Labels, table_of
from cmb_bidsapp.evaluation.results import REGIONS
from cmb_bidsapp.labels import MARS_LOOK, PROXY
from cmb_bidsapp.lesions.candidates import UNASSIGNED

_MARS_NAMES = frozenset(name for name, _ in MARS_LOOK.values())
_NOT_TOLD = (None, "n/a")


def place_of(row: Mapping[str, str]) -> Place:
    """Place of a lesion from its row; only the column ``region`` must be there."""
    border = {"true": True, "false": False}.get(row.get("border", ""))
    return Place(row["region"], _mars_region(row.get("side"), row.get("mars_region")), border)


def reference_places(
    files: SessionFiles, truth: Labels, proxy: Labels | None, affine: Affine
) -> dict[int, Place]:
    """Place of each lesion as the table says, else the class that most of its voxels lie in."""
    if files.lesions.exists() and files.instances.exists():
        rows = table_of(files.lesions, ("lesion_id", "region"))
        named = {int(r["lesion_id"]): place_of(r) for r in rows if r["lesion_id"].isdecimal()}
        return {
            number: place if place.region in REGIONS else replace(place, region=UNASSIGNED)
            for number, place in named.items()
        }
    if proxy is None:
        return {}
    places = {}
    for lesion in lesions_of(truth, affine):
        below = proxy[tuple(lesion.voxels.T)]
        votes = {name: int((below == PROXY[name]).sum()) for name in REGIONS}
        if any(votes.values()):
            places[lesion.number] = Place(max(votes, key=lambda name: votes[name]))
    return places


def _mars_region(side: str | None, region: str | None) -> str | None:
    if side in _NOT_TOLD or region in _NOT_TOLD:
        return None
    name = f"{side}-{region}"
    return name if name in _MARS_NAMES else UNASSIGNED
