"""Fetch the standard space that is asked for most: fetch_template.py FOLDER.

Without a network the folder stays as TemplateFlow's client makes it. What became of it is printed
and kept in FOLDER/prefetched.json.
"""

import json
import os
import sys
from pathlib import Path

NAME = "MNI152NLin2009cAsym"
WANTED = (
    {"resolution": 1, "suffix": "T1w", "desc": None, "extension": "nii.gz"},
    {"resolution": 2, "suffix": "T1w", "desc": None, "extension": "nii.gz"},
    {"from": "MNI152NLin6Asym", "suffix": "xfm", "extension": "h5"},
)


def fetch(home: Path) -> dict[str, object]:
    """Fetch what is wanted; the reason is kept where it cannot be had."""
    os.environ["TEMPLATEFLOW_HOME"] = str(home)
    os.environ["TEMPLATEFLOW_AUTOUPDATE"] = "0"
    try:
        from templateflow import api

        files = [Path(api.get(NAME, **entities)) for entities in WANTED]
    except Exception as error:  # noqa: BLE001 (no failure here may fail the build)
        for half in home.glob(f"tpl-{NAME}/*.*[z5]"):
            half.write_bytes(b"")  # as the client marks what is still to be fetched
        return {"space": NAME, "fetched": False, "reason": f"{type(error).__name__}: {error}"}
    return {"space": NAME, "fetched": True, "files": [str(f.relative_to(home)) for f in files]}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    outcome = json.dumps(fetch(folder), indent=2)
    folder.mkdir(exist_ok=True)
    (folder / "prefetched.json").write_text(outcome + "\n", encoding="utf-8")
    print("TemplateFlow:", outcome)
    # Whoever runs the image may have the client fetch other spaces.
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
