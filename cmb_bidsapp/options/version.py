"""What ``--version --long`` shows: enough to say which program made a result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.models.card import SECOND_LOOK, WEIGHTS
from cmb_bidsapp.models.registry import load_bundle, packaged_models
from cmb_bidsapp.preprocess.brain import FREESURFER, PORT

#: Packages whose version may change a result.
PACKAGES = ("torch", "nnunetv2", "antspyx", "SimpleITK", "scipy", "numpy", "nibabel", "pybids")

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
            *(f"{name}: {_program(name)}" for name in _programs()),
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
    weights = (name for name in (WEIGHTS, SECOND_LOOK) if name in card.files)
    hashes = ", ".join(f"{name} SHA-256 {card.files[name]}" for name in weights)
    return f"{card.version}, {card.license}, {hashes}"


def _programs() -> list[str]:
    """Programs that are used where they are installed."""
    makers = [one.program for one in BACKENDS.values() if one.program is not None]
    return [*makers, FREESURFER, PORT]


def _program(name: str) -> str:
    """Where a program is, and its version where a release of FreeSurfer tells it."""
    path = shutil.which(name)
    if path is None:
        return "not installed"
    # The programs take seconds to start, and some tell no version.
    stamp = Path(path).resolve().parents[1] / "build-stamp.txt"
    return f"{path}, {stamp.read_text(errors='replace').strip()}" if stamp.is_file() else path


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
