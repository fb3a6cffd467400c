"""Tiny BIDS datasets, each a dict from file stems to metadata; the last line of a run."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from cmb_bidsapp.bids.inputs import Scan, Session
from cmb_bidsapp.core.contrast import Contrast
from cmb_bidsapp.engine.children import Outcome

RESULT = re.compile(r"CMB-BIDSAPP RESULT ok=(\d+) failed=(\d+) skipped=(\d+) exit=(\d+)")


def write_nifti(path: Path, voxel=(1.0, 1.0, 1.0), shape=(4, 4, 4), data=None) -> Path:
    if data is None:
        data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([*voxel, 1.0])), path)
    return path


def write_head(path: Path, voxel=(4.0, 4.0, 4.0), size=96.0, change=lambda image: None) -> Path:
    """An image of ``size`` mm, one number or one each side, that passes for a head's."""
    shape = [
        max(2, round(side / mm)) for side, mm in zip(np.broadcast_to(size, 3), voxel, strict=True)
    ]
    data = np.broadcast_to(np.arange(1, shape[0] + 1, dtype=np.int16)[:, None, None], shape)
    image = nib.Nifti1Image(data, np.diag([*voxel, 1.0]))
    changed = change(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image if changed is None else changed, path)
    return path


def build_dataset(root: Path, files: Mapping[str, Mapping[str, Any] | None]) -> Path:
    """Write a dataset below ``root``.

    A key is an image name without folders and extension, such as ``sub-01_ses-A_T1w``; its value
    is the sidecar's content, where ``voxel`` gives the voxel size instead. ``None`` as the value
    makes a file that is no image at all.
    """
    root.mkdir(parents=True, exist_ok=True)
    description = {"Name": "skeleton", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(description), encoding="utf-8")
    for stem, content in files.items():
        path = image_path(root, stem)
        if content is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"no image")
            continue
        metadata = {key: value for key, value in content.items() if key != "voxel"}
        write_head(path, voxel=content.get("voxel", (4.0, 4.0, 4.0)))
        if metadata:
            sidecar = path.with_name(f"{stem}.json")
            sidecar.write_text(json.dumps(metadata), encoding="utf-8")
    return root


def image_path(root: Path, stem: str) -> Path:
    folders = [part for part in stem.split("_") if part.startswith(("sub-", "ses-"))]
    return root.joinpath(*folders, "anat", f"{stem}.nii.gz")


def session(
    participant: str, label: str | None = None, path: Path = Path("none.nii.gz")
) -> Session:
    return Session(
        participant=participant,
        session=label,
        scans={
            Contrast.T2STARW: Scan(
                path=path, entities={"suffix": "T2starw"}, metadata={}, voxel_mm3=1.0
            )
        },
    )


def rescanned(session: Session, **scans: Scan | None) -> Session:
    """The session with another ``t2star`` or ``t1w``; ``None`` takes it away."""
    names = {"t2star": Contrast.T2STARW, "t1w": Contrast.T1W}
    changed = {**session.scans, **{names[name]: scan for name, scan in scans.items()}}
    return replace(session, scans={key: scan for key, scan in changed.items() if scan})


def tree(root: Path) -> dict[str, int]:
    """Every path below ``root`` with its modification time."""
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in sorted(root.rglob("*"))}


def result_of(output):
    return tuple(int(n) for n in RESULT.fullmatch(output.splitlines()[-1]).groups())


def fake_outcomes(monkeypatch, codes):
    """Sessions end with these codes, by participant label, without being run."""

    def run_sessions(sessions, *_):
        for session in sessions:
            code = codes[session.participant]
            yield Outcome(
                session=session,
                code=code,
                message="why" if code else "",
                ran=() if code else ("all",),
                seconds=1.0,
            )

    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", run_sessions)
    monkeypatch.setattr("cmb_bidsapp.levels.participant.up_to_date", lambda job: False)
    monkeypatch.setattr("cmb_bidsapp.levels.participant.keep_report", lambda *args: None)
