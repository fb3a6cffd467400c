"""The yardstick of real scans, on images made here: what it measures, names and counts."""

import nibabel as nib
import numpy as np
import pytest
import real
from real_marks import ball, distance_to_fluid, guess_kind, measure_spot, nearest_value
from real_scans import Label, Scan
from real_scores import IN_USE, scores_of, sweep

from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.evaluation.metrics import Counts
from cmb_bidsapp.preprocess.resampling import Grid

#: 1 x 1 x 3 mm; x runs to the left, as in many scans.
AFFINE = np.array([[-1.0, 0, 0, 40], [0, 1, 0, -40], [0, 0, 3, -30], [0, 0, 0, 1]])
SHAPE = (60, 60, 15)


def head():
    """Even tissue of brightness 100 in a box; background 0."""
    brain = np.zeros(SHAPE, np.bool_)
    brain[10:50, 10:50, 2:13] = True
    return np.where(brain, 100, 0).astype(np.float32), brain


def world(*voxel):
    return tuple((AFFINE @ [*voxel, 1])[:3])


def spot_at(image, brain, *voxel, radius=2.0):
    return measure_spot(image, brain, AFFINE, ball(Grid.of(image, AFFINE), world(*voxel), radius))


def kind_at(image, brain, *voxel, structure="cerebral-wm", fluid=np.inf):
    return guess_kind(spot_at(image, brain, *voxel), structure, fluid)


def test_contrast_is_the_darkest_voxel_against_the_brain_around_it():
    image, brain = head()
    image[30:33, 30:33, 7] = 60
    image[31, 31, 7] = 40
    spot = spot_at(image, brain, 30, 30, 7)
    assert spot.contrast == pytest.approx(0.6)
    # Half-way between 100 and 40 all nine voxels are darker: 27 mm3.
    assert spot.diameter == pytest.approx((6 * 27 / np.pi) ** (1 / 3))
    assert (spot.slices, spot.depth) == (1, 3.0)
    assert spot.length == pytest.approx(3)
    assert spot.elongation == pytest.approx(1)


def test_a_place_outside_the_brain_has_no_contrast():
    image, brain = head()
    assert np.isnan(spot_at(image, brain, 3, 3, 7).contrast)
    assert kind_at(image, brain, 3, 3, 7) == "no dark spot"
    assert len(ball(Grid(SHAPE, AFFINE), world(-9, 3, 7), 2)) == 0


def test_the_distance_to_the_edge_counts_the_border_of_the_image():
    image, brain = head()
    assert spot_at(image, brain, 11, 30, 7, radius=0).edge == 2
    whole = np.ones(SHAPE, np.bool_)
    assert spot_at(image, whole, 0, 30, 7, radius=0).edge == 1


def test_kinds_follow_from_shape_and_place():
    image, brain = head()
    assert kind_at(image, brain, 30, 30, 7) == "no dark spot"
    image[30:32, 30:32, 7] = 40
    assert kind_at(image, brain, 30, 30, 7) == "like a microbleed"
    assert kind_at(image, brain, 30, 30, 7, structure="pallidum") == "iron"
    assert kind_at(image, brain, 30, 30, 7, fluid=1.0) == "CSF border"
    in_plane, across, at_the_edge, wide = (image.copy() for _ in range(4))
    in_plane[26:36, 30, 7] = 40
    in_plane[30:32, 31, 7] = 100
    assert kind_at(in_plane, brain, 30, 30, 7) == "vein"
    across[30:32, 30:32, 5:10] = 40
    assert kind_at(across, brain, 30, 30, 7) == "vein"
    at_the_edge[10:12, 30:32, 7] = 40
    assert kind_at(at_the_edge, brain, 10, 30, 7) == "brain edge"
    wide[26:36, 26:36, 5:9] = 10
    assert guess_kind(spot_at(wide, brain, 35, 35, 7), "cerebral-cortex", 9.0) == "artifact"


def test_labels_are_looked_up_around_a_place():
    labels = np.zeros(SHAPE, np.uint8)
    labels[30, 30, 7], labels[34, 30, 7] = 2, STRUCTURES.index("csf")
    assert nearest_value(labels, AFFINE, world(31, 30, 7), 6) == 2
    assert nearest_value(labels, AFFINE, world(20, 30, 7), 6) == 0
    assert distance_to_fluid(labels, AFFINE, world(31, 30, 7)) == pytest.approx(3)
    assert distance_to_fluid(labels, AFFINE, world(20, 30, 7)) == np.inf


def scan(participant, *, marks, labels, threshold=0.5):
    """A scan with one dark voxel pair and a probability per mark, and labels at places."""
    image, brain = head()
    probability = np.zeros(SHAPE, np.float32)
    for place, value in marks.items():
        probability[place] = value
        image[place] = 50
    classes = brain.astype(np.uint8)
    points = [Label(str(n), world(*place), 14.0) for n, place in enumerate(labels)]
    return Scan(
        participant,
        participant,
        "made",
        threshold,
        image,
        brain,
        AFFINE,
        probability,
        np.where(probability > 0.5, 4, classes),
        classes,
        classes,
        points,
    )


@pytest.fixture
def scans():
    return [
        # One found, one at the edge: CFPR rejects it; one label is below the threshold.
        scan(
            "sub-101",
            marks={(30, 30, 7): 0.99, (10, 10, 7): 0.8, (20, 40, 7): 0.3},
            labels=[(32, 30, 7), (20, 40, 7)],
        ),
        scan("sub-301", marks={(30, 30, 7): 0.7}, labels=[], threshold=0.9),
    ]


def test_the_sweep_adds_up_cohorts_thresholds_and_cfpr(scans):
    rows = list(sweep([score for one in scans for score in scores_of(one)]))
    found = {(r["cohort"], r["threshold"], r["cfpr"]): (r["found"], r["false"]) for r in rows}
    assert found["1 SABRE", 0.5, True] == (1, 0)
    assert found["1 SABRE", 0.5, False] == (1, 1)
    assert found["1 SABRE", 0.3, False] == (2, 1)
    assert found["3 ALFA", 0.5, True] == (0, 1)
    assert found["all", 0.5, True] == (1, 1)
    # Each scan at its own: the second one's is 0.9.
    assert found["all", "in use", True] == (1, 0)
    assert found["all", 0.999, True] == (0, 0)
    assert {row["labels"] for row in rows if row["cohort"] == "all"} == {2}


def test_scores_keep_scan_and_threshold(scans):
    first = next(scores_of(scans[0]))
    assert (first.scan, first.threshold, first.cfpr) == ("sub-101", IN_USE, True)
    assert first.counts == Counts(tp=1, fp=0, fn=1)


def test_labels_say_why_they_are_not_found(scans):
    rows = list(real.label_rows(scans[0]))
    assert [row["found"] for row in rows] == [True, False]
    assert [row["why"] for row in rows] == ["2.0 mm away", "below the threshold"]
    assert rows[1]["probability"] == pytest.approx(0.3)
    assert rows[0]["region"] == "lobar"
    outside = scan("sub-101", marks={}, labels=[(3, 3, 7)])
    assert next(real.label_rows(outside))["why"] == "outside the brain mask"
    rejected = scan("sub-101", marks={(10, 10, 7): 0.8}, labels=[(10, 11, 7)])
    assert next(real.label_rows(rejected))["why"] == "rejected by CFPR"
    shared = scan("sub-101", marks={(30, 30, 7): 0.8}, labels=[(30, 31, 7), (30, 33, 7)])
    assert [r["why"] for r in real.label_rows(shared)][1] == "its mark is that of another label"


def test_false_marks_are_those_without_a_label(scans):
    rows = list(real.mark_rows(scans[0]))
    assert [(row["status"], row["kind"]) for row in rows] == [("rejected", "brain edge")]
    assert list(real.mark_rows(scans[1])) == []


def test_tables_are_written_and_printed(scans, tmp_path, capsys):
    real.report("made", "fast", scans, tmp_path)
    shown = capsys.readouterr().out
    assert "made, fast: labels" in shown
    assert "2.0 mm away" in shown
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [f"made_fast_{what}.tsv" for what in ("labels", "marks", "scans", "sweep")]


def test_a_slab_of_one_slice_is_measured():
    image = np.full((20, 20, 1), 100, np.float32)
    image[10, 10, 0] = 40
    affine = nib.affines.from_matvec(np.diag([0.45, 0.45, 4.0]))
    voxels = ball(Grid.of(image, affine), (4.5, 4.5, 0), 2.0)
    spot = measure_spot(image, image > 0, affine, voxels)
    assert (spot.contrast, spot.slices) == (pytest.approx(0.6), 1)
