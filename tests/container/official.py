"""Stand-ins for the official images of FreeSurfer and SynthStrip: their layout, and little else."""

from pathlib import Path

from tests.container.test_select import PATHS

NAMES = {"freesurfer": "freesurfer/freesurfer:7.4.1", "synthstrip": "freesurfer/synthstrip:1.6"}

#: What FreeSurfer has and the list does not name.
UNLISTED = ("bin/freeview", "matlab/x.m", "python/lib/python3.8/site-packages/torch/x.so")

#: A csh script as recon-all is one; it minds what the real one minds before it does anything.
RECON_ALL = """\
#!/bin/tcsh -f
source $FREESURFER_HOME/sources.csh
foreach program (bc awk hostname mri_convert mri_and mri_nu_correct.mni)
  which $program > /dev/null
  if ($status) then
    echo "$program is missing"
    exit 1
  endif
end
/usr/bin/time -f %E true || exit 1
echo "USER $user" > $SUBJECTS_DIR/who
exec python /standin/recon_all.py $argv:q
"""

#: Imports what the real one imports, opens its weights as it does, finds the brain in a mask.
SYNTHSTRIP = """\
#!/usr/bin/env python
import os, sys, glob
import numpy as np
import surfa as sf
import torch

weights = os.path.join(os.environ["FREESURFER_HOME"], "models", "synthstrip.1.pt")
assert torch.load(weights, map_location="cpu")["model_state_dict"]["x"].item() == 7
image = sf.load_volume(sys.argv[sys.argv.index("-i") + 1])
masks = [sf.load_volume(path) for path in glob.glob("/standin/*_mask.nii.gz")]
(mask,) = [m for m in masks if m.shape == image.shape]
image.new(mask.data > 0).save(sys.argv[sys.argv.index("-m") + 1])
"""

#: What FreeSurfer says of its build.
STAMP = "freesurfer-linux-centos7_x86_64-7.4.1-20230613-7eb8460\n"


def lay_out(kind: str, context: Path) -> None:
    """Write what the stand-in of a kind is built from."""
    home = {"freesurfer": _freesurfer, "synthstrip": _synthstrip}[kind](context / "tree")
    text = f"FROM debian:bookworm-slim\nCOPY tree {home}\n"
    (context / "Dockerfile").write_text(text)


def _freesurfer(tree: Path) -> str:
    for path in (*PATHS, *UNLISTED):
        write_program(tree / (path + "something" if path.endswith("/") else path), "")
    write_program(tree / "build-stamp.txt", STAMP)
    write_program(tree / "bin" / "recon-all", RECON_ALL)
    return "/usr/local/freesurfer"


def _synthstrip(tree: Path) -> str:
    import torch  # slow, and few tests come here

    write_program(tree / "mri_synthstrip", SYNTHSTRIP)
    weights = tree / "models" / "synthstrip.1.pt"
    weights.parent.mkdir()
    torch.save({"model_state_dict": {"x": torch.tensor(7)}}, weights)
    return "/freesurfer"


def write_program(path: Path, text: str) -> None:
    """Write a file that everybody can read and run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
