"""What the app tells of simulated follow-ups, held against what was put in.

Prints, over all pairs of sessions or all follow-ups of a participant:
registration (distance of the microbleeds' true places, carried over), microbleeds found in both
sessions that are one track, new ones found, and what is wrongly new or gone, by its cause.

Usage: python benchmarks/followups.py TRUTH OUT     (make TRUTH with simulate --sessions N)
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.evaluation.matching import match
from cmb_bidsapp.lesions.lesion import COUNTED
from cmb_bidsapp.lesions.longitudinal import REACH_MM
from cmb_bidsapp.lesions.presence import Change, State
from cmb_bidsapp.preprocess.ants import read_linear


@dataclass
class Visit:
    """Truth and results of one session."""

    files: SessionFiles
    sources: dict[str, np.ndarray]
    """True places by the number of the microbleed, visible or not."""
    visible: set[str]
    found: dict[str, np.ndarray]
    """Places of the counted lesions by their number."""
    source_of: dict[str, str]
    """Microbleed that a lesion is, by the number of the lesion; the others are none."""


def places(rows: list[dict[str, str]], key: str) -> dict[str, np.ndarray]:
    """World coordinates of rows, by a column."""
    return {row[key]: np.array([float(row[axis]) for axis in "xyz"]) for row in rows}


def read_visit(truth: SessionFiles, files: SessionFiles) -> Visit:
    """Read a session, and find which lesion is which microbleed: visible ones first."""
    rows = read_table(truth.lesions)
    sources = places(rows, "source")
    visible = {row["source"] for row in rows if row["visible"] == "true"}
    lesions = [
        row
        for row in read_table(files.lesions)
        if row["status"] == "kept" and row["grade"] in COUNTED
    ]
    found = places(lesions, "lesion_id")
    source_of: dict[str, str] = {}
    for candidates in (visible, set(sources) - visible):
        names = sorted(candidates)
        left = [number for number in found if number not in source_of]
        centers = (
            np.reshape([places_[n] for n in own], (-1, 3))
            for places_, own in ((sources, names), (found, left))
        )
        source_of |= {left[p.predicted]: names[p.reference] for p in match(*centers)}
    return Visit(files, sources, visible, found, source_of)


def true_motion(one: Visit, other: Visit) -> np.ndarray:
    """World of one session to that of another, from the places of the microbleeds."""
    common = [source for source in one.sources if source in other.sources]
    a, b = (np.array([visit.sources[s] for s in common]) for visit in (one, other))
    u, _, vt = np.linalg.svd((a - a.mean(axis=0)).T @ (b - b.mean(axis=0)))
    sign = np.sign(np.linalg.det(vt.T @ u.T))
    motion = np.eye(4)
    motion[:3, :3] = vt.T @ np.diag([1, 1, sign]) @ u.T
    motion[:3, 3] = b.mean(axis=0) - motion[:3, :3] @ a.mean(axis=0)
    return motion


class Figures:
    """Sums over participants."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.counts: Counter[str] = Counter()

    def add(self, visits: dict[str, Visit], tracks: list[dict[str, str]]) -> None:
        """Add one participant, its sessions in order."""
        track_of = {
            (row["session_id"], row["lesion_id"]): row["track_id"]
            for row in tracks
            if row["lesion_id"] != "n/a"
        }
        names = list(visits)
        for earlier, later in combinations(names, 2):
            for source, one, other in self._in_both(visits[earlier], visits[later]):
                self.counts["in both"] += 1
                same = track_of[earlier, one] == track_of[later, other]
                self.counts["matched"] += same
                if not same:
                    print(f"  not matched: {earlier} {one}, {later} {other} (source {source})")
        baseline = visits[names[0]]
        unchanged = all(len(v.sources) == len(baseline.sources) for v in visits.values())
        kind = "unchanged" if unchanged else "changed"
        self.counts[f"{kind} heads, follow-ups"] += len(names) - 1
        self._count_new(list(visits.values()), tracks)
        for position, name in enumerate(names[1:], 1):
            visit, before = visits[name], [visits[n] for n in names[:position]]
            pull = read_linear(visit.files.to_session(baseline.files.session))
            common = [s for s in baseline.sources if s in visit.sources]
            carried = apply_affine(pull, [baseline.sources[s] for s in common])
            gaps = carried - [visit.sources[s] for s in common]
            self.errors += np.linalg.norm(gaps, axis=1).tolist()
            for row in tracks:
                if row["session_id"] != name:
                    continue
                self.counts["tracks in follow-ups"] += 1
                if row["change"] == Change.NEW:
                    why = self._why_new(row, visit, before)
                    self.counts[f"{kind} heads, new: {why}"] += 1
                    self.counts["wrongly new"] += why.startswith("WRONG")
                elif row["state"] == State.GONE:
                    self.counts[f"gone: {self._why_gone(row, tracks, visits, visit)}"] += 1
                    self.counts["wrongly gone"] += 1  # nothing goes in simulated heads
                elif row["state"] != State.PRESENT:
                    self.counts[f"not found: {row['state']}"] += 1
                else:
                    self.counts[f"found: {row['change']}"] += 1

    def _count_new(self, visits: list[Visit], tracks: list[dict[str, str]]) -> None:
        """Count microbleeds that came after the baseline, whichever session finds them."""
        change_of = {(row["session_id"], row["lesion_id"]): row["change"] for row in tracks}
        for source in set().union(*(v.visible for v in visits[1:])) - set(visits[0].sources):
            told = [
                change_of[f"ses-{visit.files.session}", lesion]
                for visit in visits[1:]
                for lesion, of in visit.source_of.items()
                if of == source
            ]
            self.counts["really new, visible"] += 1
            self.counts["really new, found"] += bool(told)
            self.counts["really new, told so"] += Change.NEW in told

    @staticmethod
    def _in_both(one: Visit, other: Visit) -> Iterator[tuple[str, str, str]]:
        """Microbleeds that are found in two sessions, and the lesions that they are."""
        theirs = {source: lesion for lesion, source in other.source_of.items()}
        for lesion, source in one.source_of.items():
            if source in theirs:
                yield source, lesion, theirs[source]

    @staticmethod
    def _why_new(row: dict[str, str], visit: Visit, before: list[Visit]) -> str:
        place, source = visit.found[row["lesion_id"]], visit.source_of.get(row["lesion_id"])
        for earlier in before:
            there = apply_affine(true_motion(visit, earlier), place)
            near = [n for n, at in earlier.found.items() if np.linalg.norm(at - there) < REACH_MM]
            if source in {earlier.source_of.get(n) for n in near if source} or (
                source is None and any(n not in earlier.source_of for n in near)
            ):
                return "WRONG, found before and not matched (registration)"
        if source is None:
            return "WRONG, no microbleed"
        if source not in before[0].sources:
            return "really new"
        if any(source in earlier.visible for earlier in before):
            return "WRONG, missed before (network)"
        return "WRONG, too faint before to be visible"

    @staticmethod
    def _why_gone(
        row: dict[str, str], tracks: list[dict[str, str]], visits: dict[str, Visit], visit: Visit
    ) -> str:
        sources = {
            visits[one["session_id"]].source_of.get(one["lesion_id"])
            for one in tracks
            if one["track_id"] == row["track_id"] and one["lesion_id"] != "n/a"
        } - {None}
        if not sources:
            return "was no microbleed"
        if sources & set(visit.source_of.values()):
            return "WRONG, found and not matched (registration)"
        if sources & visit.visible:
            return "WRONG, there and missed (network)"
        return "WRONG, there, not visible in this scan"

    def show(self) -> None:
        """Print everything."""
        errors, counts = np.array(self.errors), self.counts
        print(
            f"registration: microbleeds carried over are {np.median(errors):.2f} mm off (median), "
            f"{np.percentile(errors, 95):.2f} (95 %), {errors.max():.2f} (most)"
        )
        both, matched = counts.pop("in both", 0), counts.pop("matched", 0)
        print(f"found in both of two sessions: {both}, one track: {matched}")
        followed = counts.pop("tracks in follow-ups", 0)
        for name in ("wrongly new", "wrongly gone"):
            wrong = counts.pop(name, 0)
            print(f"{name}: {wrong} of {followed} tracks in follow-ups")
        for name in sorted(counts):
            print(f"{name}: {counts[name]}")


def main() -> None:
    """Read every participant that has tracks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    figures = Figures()
    for table in sorted(given.out.glob("sub-*/sub-*_label-CMB_tracks.tsv")):
        participant = table.parent.name.removeprefix("sub-")
        own = SessionFiles(given.out, participant, None)
        changes = read_table(own.changes)
        good = [row["session_id"] for row in changes if row["registration"] == "good"]
        figures.counts["follow-ups that could not be registered"] += len(changes) - len(good)
        names = [changes[0]["baseline_session_id"], *good]
        visits = {}
        for name in names:
            label = name.removeprefix("ses-")
            visits[name] = read_visit(
                *(SessionFiles(root, participant, label) for root in (given.truth, given.out))
            )
        print(own.label, *(f"{name}: {len(v.found)} found" for name, v in visits.items()))
        figures.add(visits, read_table(table))
    figures.show()


if __name__ == "__main__":
    main()
