"""What the ``evaluate`` verb is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.core.request import Request


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(Request):
    """Predictions and their reference; see ``cmb_bidsapp evaluate --help``."""

    predicted: tuple[str, ...]
    reference: Path
    output_dir: Path
    preset: str
    connectivity: int
    min_score: float
    thresholds: tuple[float, ...]
    nprocs: int | None
    random_seed: int
    participant_label: tuple[str, ...]
    exclude_participant_label: tuple[str, ...]

    def problems(self) -> list[str]:
        """Name folders that are not there, and inputs that would be written to."""
        # It reads images with scipy and nibabel, which --help does without.
        from cmb_bidsapp.evaluation.methods import parse_methods

        folders = [("REF_DERIVATIVES", self.reference)]
        folders += [("PREDICTIONS", one.folder) for one in parse_methods(self.predicted)]
        out = self.output_dir.resolve()
        return [
            *(f"{name} {path}: not a folder" for name, path in folders if not path.is_dir()),
            *(
                f"OUTPUT_DIR {out} is inside {path}; choose a folder outside the inputs"
                for path in dict.fromkeys(path.resolve() for _, path in folders)
                if path in (out, *out.parents)
            ),
        ]
