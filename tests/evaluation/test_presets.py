"""The presets against implementations of their rules that share no code with them."""

from collections import Counter, deque
from fractions import Fraction
from itertools import product

import nibabel as nib
import numpy as np
import pytest

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.core.defaults import PRESET_NAMES
from cmb_bidsapp.evaluation.presets import PRESETS, Rules
from cmb_bidsapp.evaluation.results import GIVEN
from cmb_bidsapp.evaluation.session import evaluate_session

CASES = 300
#: Voxel sizes and signs of the axes; small numbers of twos make exact ties and exact 5 mm gaps.
ZOOMS = ((1, 1, 1), (0.5, 0.5, 2), (1, -1, 5), (-0.5, 1, 2.5))


def written(folder, side, values, affine):
    """A mask, as a rater and another tool would give it."""
    files = SessionFiles(folder / side, "01", None)
    files.mask.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.float32), affine), files.mask)
    return files


def result_of(folder, reference, predicted, affine, preset, connectivity=26):
    files = [
        written(folder, side, values, affine)
        for side, values in (("predicted", predicted), ("reference", reference))
    ]
    result = evaluate_session(*files, Rules(preset=PRESETS[preset], connectivity=connectivity))
    stage = result.stages[GIVEN]
    volume = (stage.overlap.predicted - stage.overlap.reference) * result.voxel_mm3
    return stage, volume


def test_the_command_line_offers_the_presets_there_are():
    assert tuple(PRESETS) == PRESET_NAMES
    assert all(preset.text for preset in PRESETS.values())


# The rules of the VALDO challenge, in whole numbers and fractions, voxel by voxel.


def components(mask, connectivity):
    """Connected voxels, in the order in which a scan of the image meets them."""
    reach = 1 if connectivity == 6 else 3
    steps = [step for step in product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, step)) <= reach]
    left = set(map(tuple, np.argwhere(mask).tolist()))
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        component, queue = [start], deque([start])
        while queue:
            here = queue.popleft()
            for step in steps:
                there = tuple(a + b for a, b in zip(here, step, strict=True))
                if there in left:
                    left.discard(there)
                    component.append(there)
                    queue.append(there)
        found.append(component)
    return found


def valdo(reference, predicted, zooms, connectivity):
    """After the challenge's rules: F1, Dice, difference of elements, and of volumes (mm3).

    Besides, how often something happened that the rules have a word on.
    """
    events = Counter()
    own, found = (components(image > 0, connectivity) for image in (reference, predicted))
    size = [Fraction(z) for z in zooms]
    volume = abs(size[0] * size[1] * size[2]) * abs(
        int((reference > 0).sum()) - int((predicted > 0).sum())
    )
    elements = abs(len(own) - len(found))
    if not own:
        return (np.nan, np.nan, elements, float(volume)), events
    if not found:
        return (0.0, 0.0, elements, float(volume)), events

    def center(component):
        means = (Fraction(sum(axis), len(component)) for axis in zip(*component, strict=True))
        return [step * mean for step, mean in zip(size, means, strict=True)]

    centers = [center(component) for component in own]
    chosen = {}
    for number, component in enumerate(found):
        at = center(component)
        squares = [sum((a - b) ** 2 for a, b in zip(at, other, strict=True)) for other in centers]
        nearest = squares.index(min(squares))
        events["tie of references"] += squares.count(min(squares)) > 1 and min(squares) < 25
        events["five millimeters"] += min(squares) == 25
        if squares[nearest] < 25:
            chosen.setdefault(nearest, []).append((squares[nearest], number))
    for takers in chosen.values():
        gaps = [gap for gap, _ in takers]
        events["contested"] += len(gaps) > 1
        events["tie of predictions"] += gaps.count(min(gaps)) > 1
    weights = [Fraction(max(float(reference[voxel]) for voxel in c)) for c in own]
    hit = sum(weights[number] for number in chosen)
    missed = sum(weights) - hit
    false = len(found) - len(chosen)
    dice = []
    for number, takers in chosen.items():
        union = {voxel for _, taker in takers for voxel in found[taker]}
        both = union & set(own[number])
        dice.append(2 * len(both) / (len(union) + len(own[number])))
    f1 = float(2 * hit / (missed + false + 2 * hit))
    return (f1, sum(dice) / len(dice) if dice else 0.0, elements, float(volume)), events


def random_lesions(rng, kind):
    """A few small lesions, which may touch; some of half weight where ``kind`` is soft."""
    image = np.zeros((14, 12, 6), np.float32)
    for _ in range(0 if kind == "empty" else rng.integers(1, 9)):
        box = tuple(slice(c, c + rng.integers(1, 4)) for c in rng.integers(0, image.shape))
        image[box] = 0.5 if kind == "soft" and rng.random() < 0.5 else 1.0
    return image


def lattice(rng, step):
    """Some voxels of those that lie ``step`` apart in a plane, in two planes."""
    image = np.zeros((14, 12, 6), np.float32)
    places = image[::step, ::step, ::3]
    places[rng.random(places.shape) < 0.4] = 1.0
    return image


def case_of(number):
    """Reference, prediction, voxel size and connectivity of a random case."""
    rng = np.random.default_rng(number)
    reference = random_lesions(rng, rng.choice(["plain", "soft", "empty"], p=[0.45, 0.4, 0.15]))
    predicted = random_lesions(rng, rng.choice(["plain", "empty"], p=[0.85, 0.15]))
    if number % 3 == 0:
        # Voxels of a lattice, predictions also between them: ties, and gaps of 5 mm.
        reference, predicted = lattice(rng, (4, 5)[number % 2]), lattice(rng, (2, 5)[number % 2])
    return reference, predicted, ZOOMS[number % 4], (6, 26)[number // 4 % 2]


@pytest.mark.parametrize("first", range(0, CASES, 50))
def test_valdo_is_the_rules_of_the_challenge(tmp_path, first):
    for number in range(first, first + 50):
        reference, predicted, zooms, connectivity = case_of(number)
        affine = np.diag([*zooms, 1.0])
        stage, volume = result_of(tmp_path, reference, predicted, affine, "valdo", connectivity)
        counts = stage.counts
        elements = abs(counts.predicted - counts.reference)
        ours = counts.session_f1, stage.dice, elements, abs(volume)
        theirs, _ = valdo(reference, predicted, zooms, connectivity)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=f"case {number}")


def test_the_cases_have_what_the_rules_are_about():
    # Otherwise the test above would prove less than it says.
    seen = Counter()
    for number in range(CASES):
        reference, predicted, zooms, connectivity = case_of(number)
        seen.update(valdo(reference, predicted, zooms, connectivity)[1])
        seen["soft"] += (reference == 0.5).any()
        seen["no reference"] += not reference.any()
        seen["no prediction"] += not predicted.any()
        sizes = {n: len(components(reference > 0, n)) for n in (6, 26)}
        seen["connectivity matters"] += sizes[6] != sizes[26]
    wanted = ("tie of references", "tie of predictions", "five millimeters", "contested")
    assert min(seen[name] for name in (*wanted, *list(seen)[-4:])) >= 5
