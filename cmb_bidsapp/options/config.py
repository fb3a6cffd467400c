"""A past run as options: ``--config-file`` reads the TOML that every run leaves in its logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmb_bidsapp.bids.text import cause_of, read_text
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.settings import Settings


def read_config(path: Path) -> dict[str, Any]:
    """Read the options of a past run.

    Raises
    ------
    UsageError
        The file cannot be read, or holds no settings of this version.
    """
    try:
        return options_of_run(Settings.from_toml(read_text(path)))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--config-file {path}: {cause_of(error)}; expected "
            "OUTPUT_DIR/logs/*/cmb_bidsapp.toml of this version"
        ) from error


def options_of_run(settings: Settings) -> dict[str, Any]:
    """Options that lead to the same results, by their names.

    Left out is what changes no result and is each run's own: resources, device, and how the run is
    controlled.
    """
    selection, anatomy = settings.selection, settings.anatomy
    lesions, rule = settings.lesions, settings.decisions
    return {
        "bids_dir": settings.bids_dir,
        "output_dir": settings.out_dir,
        "level": settings.levels,
        "participant_label": selection.participants,
        "exclude_participant_label": selection.excluded,
        "session_label": selection.sessions,
        "filters": selection.filters,
        "brain_extraction": anatomy.brain_extraction,
        "parcellation": anatomy.parcellation,
        "derivatives": tuple(map(str, anatomy.derivatives)),
        "fs_subjects_dir": anatomy.subjects_dir,
        "fs_license_file": anatomy.license_file,
        "fs_no_reconall": not anatomy.run_reconall,
        "fs_no_resume": not anatomy.resume_reconall,
        "proxy_rules": anatomy.proxy_rules,
        "jhu_atlas": anatomy.jhu_atlas,
        "model": lesions.model,
        "folds": lesions.folds,
        "tta": lesions.tta,
        "threshold": rule.threshold,
        "cfpr": rule.cfpr,
        "cfpr_mode": rule.cfpr_mode,
        "cfpr_radius": rule.cfpr_radius,
        "cfpr_ratio": rule.cfpr_ratio,
        "phase_rule": rule.phase_rule,
        "min_size": rule.min_size,
        "baseline_limit": settings.clinical.baseline_limit,
        "sensitivity": settings.sensitivity,
        "output_spaces": settings.output_spaces,
        "reference_derivatives": settings.reference,
        "ratings": settings.ratings,
        "random_seed": settings.seed,
    }
