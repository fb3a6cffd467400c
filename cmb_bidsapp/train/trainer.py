"""nnU-Net v2 trainers of the paper's joint task: microbleeds and proxy regions."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss, DC_and_topk_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.robust_ce_loss import TopKLoss
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet_module  # noqa: N813
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from cmb_bidsapp.models.device import fast_arithmetic

#: Loss of the paper, section 3.3: k = 10, both weights 0.5.
TOP_K, WEIGHT_DICE, WEIGHT_TOPK = 10.0, 0.5, 0.5
#: Weight of the term that asks of every voxel only whether it is a microbleed, and the percentage
#: of the voxels, the hardest, that it is the mean of. A trained model knows the regions, whose
#: borders fill the hardest tenth of the joint loss; what it marks wrongly is among this hundredth.
WEIGHT_LESION, LESION_TOP_K = 0.5, 1.0
#: Share of the patches without a forced microbleed that are centered on a mimic.
MIMIC_SHARE = 0.5
#: Classes of few voxels, and their weight in the cross-entropy when they start untrained.
RARE, FIRST_RARE_WEIGHT = ("CMB", "mimic"), 30.0


class _MicrobleedLoader(nnUNetDataLoader):  # type: ignore[misc]
    """Center the forced patches on microbleeds where the case has any, many others on mimics."""

    center: int
    mimic: int | None

    def get_bbox(
        self,
        data_shape: Any,
        force_fg: bool,
        class_locations: dict[Any, Any] | None,
        overwrite_class: Any = None,
        verbose: bool = False,
    ) -> Any:
        # nnU-Net seeds the legacy generator of its workers.
        if force_fg:
            overwrite_class = self._present(class_locations, self.center)
        elif np.random.uniform() < MIMIC_SHARE:  # noqa: NPY002
            overwrite_class = self._present(class_locations, self.mimic)
        force_fg = force_fg or overwrite_class is not None
        box_low, box_high = super().get_bbox(
            data_shape, force_fg, class_locations, overwrite_class, verbose
        )
        if overwrite_class is not None:
            # A lesion always in the middle of the patch would be a shortcut.
            for axis, size in enumerate(self.final_patch_size):
                shift = int(np.random.uniform(-0.3, 0.3) * size)  # noqa: NPY002
                box_low[axis] += shift
                box_high[axis] += shift
        return box_low, box_high

    @staticmethod
    def _present(class_locations: dict[Any, Any] | None, label: int | None) -> int | None:
        return label if class_locations and len(class_locations.get(label, ())) > 0 else None


class LesionLoss(torch.nn.Module):
    """A joint loss, and the mean of the hardest voxels of the question: microbleed or not.

    ``joint`` is one of nnU-Net's compound losses, ``lesion`` the class of microbleeds.
    """

    def __init__(self, joint: torch.nn.Module, lesion: int) -> None:
        super().__init__()
        self.joint, self.lesion = joint, lesion

    @property
    def ce(self) -> torch.nn.Module:
        """Cross-entropy of the joint loss."""
        part = self.joint.ce
        assert isinstance(part, torch.nn.Module)
        return part

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of logits for labels.

        Parameters
        ----------
        output
            Logits, shape ``(batch, classes, ...)``.
        target
            Labels, shape ``(batch, 1, ...)``.
        """
        joint: torch.Tensor = self.joint(output, target)
        truth = target[:, 0]
        scores = torch.log_softmax(output, dim=1)
        others = [c for c in range(output.shape[1]) if c != self.lesion]
        neither = torch.logsumexp(scores[:, others], dim=1)
        wrong = -torch.where(truth == self.lesion, scores[:, self.lesion], neither)
        # The class after the last is to be ignored.
        known = wrong[truth < output.shape[1]]
        hardest = max(1, int(len(known) * LESION_TOP_K / 100))
        return joint + WEIGHT_LESION * known.topk(min(hardest, len(known))).values.mean()


class MicrobleedTrainer(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net v2's trainer for microbleeds, with or without the proxy regions.

    What differs from nnU-Net's own trainer, and why:

    * A gentle start. TopK tightens from plain cross-entropy (k = 100) to k = 10 over the first
      third of the epochs, because the hardest tenth alone teaches an untrained network next to
      nothing. The weight of rare classes that start untrained (CMB, mimics) in the cross-entropy
      falls from 30 to 1 over the third that follows. A training that starts from a trained model
      has k = 10 at once, that weight falls over its first third, and a third term asks whether
      the hardest voxels are microbleeds (:class:`LesionLoss`).
    * Half of the patches hold a microbleed; where the labels name mimics, half of the rest hold
      one of them.
    * Only left and right are mirrored: up and down, front and back tell the regions apart.
    * T1w is blanked in some samples, so that T2*w alone works with the same weights.
    * bf16 autocast on the CPUs that have it, where nnU-Net runs fp32 (five times slower).
    * AdamW: SGD needs more steps than a CPU has hours.
    """

    epochs = 60
    iterations = 50
    validation_iterations = 4
    learning_rate = 1.5e-3
    trained: Collection[str] | None = None
    """Classes that the weights training starts from know; ``None`` for random weights."""
    blank_t1w = 0.15

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device,
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.epochs
        self.num_iterations_per_epoch = self.iterations
        self.num_val_iterations_per_epoch = self.validation_iterations
        self.initial_lr = self.learning_rate
        self.oversample_foreground_percent = 0.5
        self.save_every = 2

    def _compound_loss(self) -> torch.nn.Module:
        """Dice and cross-entropy, the latter as ``loss.ce``."""
        raise NotImplementedError

    def _dice_options(self) -> dict[str, Any]:
        return {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": self.is_ddp}

    def _build_loss(self) -> DeepSupervisionWrapper:
        scales = self._get_deep_supervision_scales()
        weights = np.array([1 / 2**i for i in range(len(scales))])
        weights[-1] = 0
        loss = self._compound_loss()
        if self.trained is not None:
            loss = LesionLoss(loss, self.dataset_json["labels"]["CMB"])
        return DeepSupervisionWrapper(loss, weights / weights.sum())

    def initialize(self) -> None:
        """Build the network; in channels-last order, in which CPUs convolve faster."""
        super().initialize()
        self.network.to(memory_format=torch.channels_last_3d)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """AdamW with nnU-Net's own schedule."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.initial_lr, weight_decay=1e-2
        )
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> Any:  # noqa: N802
        """Small rotations in plane, left and right mirrored."""
        _, dummy_2d, _, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        angle = np.radians(15)
        mirror_axes = (2,)
        self.inference_allowed_mirroring_axes = mirror_axes
        # Room for the rotation and the zoom-out of the in-plane augmentation.
        size = np.array(self.configuration_manager.patch_size)
        initial = np.round(size * 1.3).astype(int)
        if dummy_2d:
            initial[0] = size[0]
        return (-angle, angle), dummy_2d, initial, mirror_axes

    def get_dataloaders(self) -> Any:
        """nnU-Net's loaders, with ours in their place: it names the class, so that is exchanged."""
        original = nnunet_module.nnUNetDataLoader
        labels = self.dataset_json["labels"]
        _MicrobleedLoader.center = labels["CMB"]
        _MicrobleedLoader.mimic = labels.get("mimic")
        nnunet_module.nnUNetDataLoader = _MicrobleedLoader
        try:
            return super().get_dataloaders()
        finally:
            nnunet_module.nnUNetDataLoader = original

    def plot_network_architecture(self) -> None:
        """Not drawn: the optional package nnU-Net wants for it is unmaintained."""

    def on_train_epoch_start(self) -> None:
        """Tighten the loss."""
        super().on_train_epoch_start()
        thirds = 3 * self.current_epoch / self.num_epochs
        done = min(1.0, thirds) if self.trained is None else 1.0
        cross_entropy, labels = self.loss.loss.ce, self.dataset_json["labels"]
        untrained = [labels[n] for n in RARE if n in labels and n not in (self.trained or ())]
        if isinstance(cross_entropy, TopKLoss):
            cross_entropy.k = 100.0 - (100.0 - TOP_K) * done
        weight = torch.ones(self.label_manager.num_segmentation_heads, device=self.device)
        until = 2 if self.trained is None else 1
        weight[untrained] = FIRST_RARE_WEIGHT ** float(np.clip(until - thirds, 0, 1))
        cross_entropy.weight = weight
        self.print_to_log_file(
            f"k {getattr(cross_entropy, 'k', 100):.0f}, class weights "
            + " ".join(f"{w:.1f}" for w in weight.tolist())
        )

    def _forward(self, batch: dict[str, Any]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        data = batch["data"].to(self.device, non_blocking=True)
        target = [t.to(self.device, non_blocking=True) for t in batch["target"]]
        if self.network.training and data.shape[1] > 1:
            blank = torch.rand(data.shape[0], device=data.device) < self.blank_t1w
            data[blank, 1] = 0
        data = data.contiguous(memory_format=torch.channels_last_3d)
        with fast_arithmetic(self.device):
            output = self.network(data)
        return [o.float() for o in output], target

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One step; no gradient scaling, bf16 does not need it."""
        self.optimizer.zero_grad(set_to_none=True)
        output, target = self._forward(batch)
        loss = self.loss(output, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        return {"loss": loss.detach().cpu().numpy()}

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Loss and the true/false positive voxel counts of the pseudo-Dice."""
        output, target = self._forward(batch)
        loss = self.loss(output, target)
        truth = target[0][:, 0].long()
        known = truth < output[0].shape[1]
        predicted, truth = output[0].argmax(1)[known], truth[known]
        classes = range(1, output[0].shape[1])
        counts = {
            "tp_hard": [((predicted == c) & (truth == c)).sum().item() for c in classes],
            "fp_hard": [((predicted == c) & (truth != c)).sum().item() for c in classes],
            "fn_hard": [((predicted != c) & (truth == c)).sum().item() for c in classes],
        }
        return {
            "loss": loss.detach().cpu().numpy(),
            **{key: np.array(value) for key, value in counts.items()},
        }

    @property
    def last_checkpoint(self) -> Path | None:
        """Checkpoint that an interrupted training, or a finished one made longer, resumes from."""
        names = ("checkpoint_latest.pth", "checkpoint_final.pth")
        found = [path for name in names if (path := Path(self.output_folder) / name).exists()]
        return found[0] if found else None


class DiceTopK10Trainer(MicrobleedTrainer):
    """The paper's loss (section 3.3): soft Dice and TopK, k = 10, one half each."""

    def _compound_loss(self) -> torch.nn.Module:
        loss: torch.nn.Module = DC_and_topk_loss(
            self._dice_options(),
            {"k": TOP_K, "label_smoothing": 0.0},
            weight_ce=WEIGHT_TOPK,
            weight_dice=WEIGHT_DICE,
            ignore_label=self.label_manager.ignore_label,
        )
        return loss


class DiceCETrainer(MicrobleedTrainer):
    """nnU-Net's own loss, the paper's baseline: soft Dice and cross-entropy, one each."""

    def _compound_loss(self) -> torch.nn.Module:
        loss: torch.nn.Module = DC_and_CE_loss(
            self._dice_options(), {}, ignore_label=self.label_manager.ignore_label
        )
        return loss


#: Trainer by the name of its loss.
TRAINERS: dict[str, type[MicrobleedTrainer]] = {"topk": DiceTopK10Trainer, "ce": DiceCETrainer}
