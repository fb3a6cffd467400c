"""From the network's probabilities to a brain mask, on probabilities made here."""

import numpy as np
import pytest

from cmb_bidsapp.anatomy.network import AnatomySegmentation
from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.preprocess.resampling import Grid

GRID = Grid((40, 40, 40), np.diag([2.0, 2.0, 2.0, 1.0]))
X, Y, Z = np.ogrid[:40, :40, :40]
BRAIN = (X - 20) ** 2 + (Y - 18) ** 2 + (Z - 20) ** 2 <= 12**2
#: In front of the brain and touching it, as nose and orbits are.
NOSE = (abs(X - 20) <= 4) & (Y >= 28) & (Y < 38) & (abs(Z - 16) <= 4) & ~BRAIN


def mask_of(brain, target=GRID):
    """Mask where the probability of brain is as given."""
    probabilities = np.zeros((len(STRUCTURES), *GRID.shape), np.float32)
    probabilities[1] = brain
    probabilities[0] = 1 - probabilities[1]
    return AnatomySegmentation(probabilities, GRID).brain_mask(target)


def test_the_brain_is_kept_as_it_is():
    assert (mask_of(np.where(BRAIN, 1.0, 0.0)) == BRAIN).mean() > 0.999
    # Not even a network that is sure nowhere loses it.
    assert (mask_of(np.where(BRAIN, 0.7, 0.0)) == BRAIN).mean() > 0.999


def test_a_rim_that_is_never_sure_stays():
    inner = (X - 20) ** 2 + (Y - 18) ** 2 + (Z - 20) ** 2 <= 11**2
    found = mask_of(np.where(inner, 0.99, np.where(BRAIN, 0.6, 0.0)))
    assert (found == BRAIN).mean() > 0.999


@pytest.mark.parametrize("doubt", [0.55, 0.7, 0.85])
def test_doubtful_parts_go_no_farther_than_a_rim(doubt):
    found = mask_of(np.where(BRAIN, 0.99, np.where(NOSE, doubt, 0.0)))
    assert found[BRAIN].mean() > 0.999
    # Within the rim the nose cannot be told from a brain's edge; four fifths of it go.
    assert found[NOSE & (Y >= 33)].sum() == 0


def test_islands_near_the_brain_are_dropped():
    island = (abs(X - 20) <= 2) & (abs(Y - 18) <= 2) & (Z >= 34) & (Z <= 38)
    found = mask_of(np.where(BRAIN, 0.99, np.where(island, 0.95, 0.0)))
    assert found[BRAIN].mean() > 0.999
    assert found[island].sum() == 0


def test_holes_are_filled_and_nothing_is_nothing():
    hole = (abs(X - 20) <= 2) & (abs(Y - 18) <= 2) & (abs(Z - 20) <= 2)
    assert mask_of(np.where(BRAIN & ~hole, 0.99, 0.0))[hole].all()
    assert not mask_of(np.zeros(GRID.shape)).any()
