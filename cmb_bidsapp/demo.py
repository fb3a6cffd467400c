"""The ``demo`` verb: a dataset of its own making, through the whole app, held against its truth."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp.bids.derivatives import SessionFiles, ending
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.evaluation.results import AFTER
from cmb_bidsapp.evaluation.session import evaluate_session, find_sessions
from cmb_bidsapp.levels.run import run_levels
from cmb_bidsapp.options.resolve import read_settings
from cmb_bidsapp.simulate.anatomy import atlas_head
from cmb_bidsapp.simulate.dataset import SimulatedCohort, simulate_dataset
from cmb_bidsapp.simulate.protocols import PROTOCOLS

#: Its voxels are such as the lesion models know: a first run has nothing to warn of.
PROTOCOL = PROTOCOLS["gre3t3mm"]
#: Its heads are of usual size: the packaged atlas, of which others are made, is as large as MNI152.
SEED = 6
#: Columns of the table of changes that are told, and the words for them.
CHANGES = MappingProxyType(
    {
        "persistent": "persistent",
        "new": "new",
        "already_there": "already there, below threshold",
        "below_threshold": "below threshold now",
        "gone": "gone",
    }
)


def make_demo_dataset(folder: Path) -> Path:
    """Simulate two participants, the first with a follow-up; returns the truth derivatives."""
    cohort = SimulatedCohort(
        heads=[atlas_head()],
        participants=2,
        protocols=[PROTOCOL],
        microbleeds=(6, 11),
        sessions={0: ("A", "B")},
        new=(2, 4),
        seed=SEED,
    )
    return simulate_dataset(
        cohort, folder, progress=lambda text: print(f"simulated {text}", flush=True)
    )


def run_demo(folder: Path) -> int:
    """Make the dataset, run both levels, compare with the truth, say where everything is."""
    bids_dir, out_dir = folder / "bids", folder / "derivatives"
    truth = make_demo_dataset(bids_dir)
    settings = read_settings([str(bids_dir), str(out_dir), "participant", "group"])
    summary = run_levels(settings)
    print("\nmicrobleeds found, of those that are visible (within 5 mm):")
    for line in compare_with_truth(truth, out_dir.absolute()):
        print(f"  {line}")
    print("\nmicrobleeds of the follow-up, against the session before:")
    for line in changes_in_words(out_dir.absolute()):
        print(f"  {line}")
    print("\nreports:")
    for page in sorted(out_dir.absolute().glob("sub-*.html")):
        print(f"  {page}")
    print(f"group page:  {out_dir.absolute() / 'group.html'}")
    print(f"group table: {out_dir.absolute() / 'group_mars.tsv'}")
    print(f"more:        cmb_bidsapp evaluate {out_dir} {truth} {folder / 'evaluation'}")
    print(summary, flush=True)
    return int(summary.code)


def compare_with_truth(truth: Path, out_dir: Path) -> list[str]:
    """Count the microbleeds found in every simulated session; returns one line per session.

    Parameters
    ----------
    truth
        Folder of the simulated masks, laid out as the derivatives of the app are.
    out_dir
        Output folder of the app.
    """
    lines = []
    for label, reference in find_sessions(truth)[0].items():
        predicted = SessionFiles(out_dir, reference.participant, reference.session)
        if not predicted.mask.exists():
            lines.append(f"{label}: no result")
            continue
        counts = evaluate_session(predicted, reference).stages[AFTER].counts
        lines.append(f"{label}: {counts.tp} of {counts.reference}, and {counts.fp} elsewhere")
    return lines


def changes_in_words(out_dir: Path) -> list[str]:
    """Say of every follow-up what became of the microbleeds."""
    lines = []
    for table in sorted(out_dir.glob(f"sub-*/sub-*{ending(lambda files: files.changes)}")):
        for row in read_table(table):
            counts = ", ".join(f"{row[name]} {word}" for name, word in CHANGES.items())
            lines.append(f"{table.parent.name}_{row['session_id']}: {counts}")
    return lines
