"""The trainers, and their losses."""

import torch

from cmb_bidsapp.train.request import LOSSES
from cmb_bidsapp.train.trainer import TRAINERS, LesionLoss


def test_every_loss_that_can_be_asked_for_has_a_trainer():
    assert TRAINERS.keys() == LOSSES.keys()


def test_the_lesion_loss_asks_only_whether_a_voxel_is_a_microbleed():
    class Nothing(torch.nn.Module):
        ce = None

        def forward(self, output, target):
            return torch.zeros(())

    loss = LesionLoss(Nothing(), lesion=2)
    target = torch.zeros(1, 1, 10, 10)
    target[0, 0, 3, 3], target[0, 0, 5] = 2, 3  # a microbleed; a row to be ignored
    right = torch.zeros(1, 3, 10, 10)
    right[:, 2] = -20
    right[0, 2, 3, 3] = 20
    assert loss(right, target) < 1e-3
    other_region = right.clone()
    other_region[:, 1] += 5
    assert loss(other_region, target) < 1e-3
    missed = right.clone()
    missed[0, 2, 3, 3] = -20
    assert loss(missed, target) > 1
    ignored = right.clone()
    ignored[0, 2, 5] = 20
    assert loss(ignored, target) < 1e-3
    assert loss(other_region, target).isfinite()
