"""What ``--version --long`` shows: enough to say which program made a result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cmb_bidsapp import __version__
from cmb_bidsapp.models.card import WEIGHTS
from cmb_bidsapp.models.registry import load_bundle, packaged_models

#: Packages whose version may change a result.
PACKAGES = ("torch", "nnunetv2", "antspyx", "SimpleITK", "scipy", "numpy", "nibabel", "pybids")

#: Programs that are used where they are installed.
PROGRAMS = ("recon-all", "mri_synthseg", "mri_synthstrip")

#: Set in container images, which hold no git.
REVISION_VARIABLE = "CMB_BIDSAPP_REVISION"


def long_version() -> str:
    """Text of several lines: revision, models with their SHA-256, packages, programs."""
    return "\n".join(
        [
            f"cmb_bidsapp {__version__}",
            f"revision: {revision() or 'unknown'}",
            f"Python: {sys.version.split()[0]}",
            *(f"model {name}: {_model(name)}" for name in packaged_models()),
            *(f"{name}: {_package(name)}" for name in PACKAGES),
            *(f"{name}: {shutil.which(name) or 'not installed'}" for name in PROGRAMS),
        ]
    )


def revision() -> str | None:
    """Git revision of the source that runs; ``None`` where nothing tells."""
    root = Path(__file__).parents[2]
    if (root / ".git").exists() and (git := shutil.which("git")):
        told = subprocess.run(
            [git, "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode == 0:
            return told.stdout.strip()
    return os.environ.get(REVISION_VARIABLE) or None


def _model(name: str) -> str:
    card = load_bundle(name).card
    return f"{card.version}, {card.licence}, SHA-256 {card.files[WEIGHTS]}"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
