"""The Brainlife app: ``config.json`` of the current folder in, results and ``product.json`` out.

``main`` of the repository runs ``python3 -m cmb_bidsapp.callers.brainlife`` in the container image.
Into the folder go ``output/`` (the derivatives), and as Brainlife's datatypes ``mask/mask.nii.gz``
(neuro/mask) and ``html/index.html`` (report/html). The dataset that the inputs become is removed
in the end.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.dataset import BIDS_VERSION
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.bids.outputs import write_json
from cmb_bidsapp.bids.provenance import read_provenance
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.callers.options import flag_of, is_flag, options_of
from cmb_bidsapp.core.errors import DataError, ExitCode, classify
from cmb_bidsapp.core.outcome import carried_out
from cmb_bidsapp.lesions.lesion import COUNTED, Region
from cmb_bidsapp.lesions.table import read_lesions
from cmb_bidsapp.levels.run import run_app
from cmb_bidsapp.options.parser import build_parser
from cmb_bidsapp.options.resolve import read_settings

Config = Mapping[str, Any]

#: Key in ``config.json`` -> BIDS suffix (datatypes neuro/anat/t1w and neuro/anat/t2starw).
IMAGES = {"t2starw": "T2starw", "t1": "T1w"}

#: What Brainlife's metadata have besides the sidecar.
ENTITIES = ("subject", "session", "run", "acq")

NOT_A_DIAGNOSIS = "The results are an imaging summary, not a diagnosis."


def make_dataset(config: Config, folder: Path, bids_dir: Path) -> SessionFiles:
    """Make a dataset of the images that a ``config.json`` names.

    Parameters
    ----------
    config
        Content of ``config.json``.
    folder
        Where its paths start.
    bids_dir
        An empty folder for it.

    Returns
    -------
    SessionFiles
        Where the app will put its results, below ``output/``.

    Raises
    ------
    DataError
        An image is missing.
    """
    known = _metadata(config, "t2starw")
    label, session = _label(known.get("subject")) or "01", _label(known.get("session"))
    files = SessionFiles(folder / "output", label, session)
    anat = bids_dir / files.t2star.parent.relative_to(files.out_dir)
    anat.mkdir(parents=True)
    for key, suffix in IMAGES.items():
        if not config.get(key):
            continue
        image = folder / config[key]
        if not image.is_file():
            raise DataError(f"config.json: {key} is {config[key]}, which is no file")
        shutil.copyfile(image, anat / f"{files.label}_{suffix}{_extension(image)}")
        sidecar = {k: v for k, v in _metadata(config, key).items() if k not in ENTITIES}
        write_json(anat / f"{files.label}_{suffix}.json", sidecar)
    description = {"Name": "Brainlife", "BIDSVersion": BIDS_VERSION}
    write_json(bids_dir / "dataset_description.json", description)
    return files


def app_options(config: Config) -> list[str]:
    """The options of the app that a ``config.json`` sets: keys that are called as they are."""
    words: list[str] = []
    for action in options_of(build_parser()):
        value = config.get(action.dest)
        if value is None or value == "":
            continue
        if is_flag(action):
            # Brainlife sends every switch, on or off.
            if value != bool(action.default):
                words.append(flag_of(action, value))
        else:
            values = value if isinstance(value, list) else [value]
            words += [flag_of(action), *map(str, values)]
    return words


def product(files: SessionFiles, code: int) -> dict[str, Any]:
    """Make the content of ``product.json``: messages, counts, a graph of them.

    Parameters
    ----------
    files
        Paths of the session's derivatives.
    code
        Exit code of the app.
    """
    messages = [{"type": "info", "msg": NOT_A_DIAGNOSIS}]
    status = files.out_dir / "logs" / "status.tsv"
    for row in read_table(status) if status.exists() else ():
        if row["status"] != "ok":
            messages.append({"type": "error", "msg": row["message"]})
    if code:
        messages.append({"type": "error", "msg": f"exit code {code}: {ExitCode(code).meaning}"})
    if code or not files.lesions.exists():
        return {"brainlife": messages, "version": __version__}
    messages += [{"type": "warning", "msg": note} for note in read_provenance(files).notes]
    counted = [lesion for lesion in read_lesions(files.lesions) if lesion.counted]
    found = Counter((lesion.grade, lesion.region or Region.UNASSIGNED) for lesion in counted)
    counts = {grade: {region: found[grade, region] for region in Region} for grade in COUNTED}
    total = found.total()
    messages.append({"type": "success", "msg": f"{total} microbleeds, definite and possible"})
    graph = {
        "type": "plotly",
        "name": "Microbleeds",
        "data": [
            {"type": "bar", "name": grade, "x": list(by_region), "y": list(by_region.values())}
            for grade, by_region in counts.items()
        ],
        "layout": {"barmode": "stack", "yaxis": {"title": "microbleeds"}},
    }
    return {
        "brainlife": [*messages, graph],
        "version": __version__,
        "microbleeds": {"total": total, **counts},
    }


def start_app(arguments: list[str]) -> int:
    """Run the app as its command line does; returns its exit code."""
    return carried_out(lambda: run_app(read_settings(arguments)))


def run(folder: Path, app: Callable[[list[str]], int] = start_app) -> int:
    """Run the app for the ``config.json`` in a folder; returns its exit code.

    Parameters
    ----------
    folder
        Folder of ``config.json``; outputs and ``product.json`` are written into it.
    app
        Called with the words of the command line; returns the exit code of the app.
    """
    # Whoever tries it by hand may have a folder "bids" there: it is theirs.
    with TemporaryDirectory(prefix="bids-", dir=folder) as bids_dir:
        try:
            config: Config = json.loads((folder / "config.json").read_text(encoding="utf-8-sig"))
            files = make_dataset(config, folder, Path(bids_dir))
        except (OSError, ValueError, DataError) as error:
            failure, message = classify(error)
            print(f"cmb_bidsapp: {message}", file=sys.stderr)
            write_json(folder / "product.json", {"brainlife": [{"type": "error", "msg": message}]})
            return int(failure)
        words = [bids_dir, str(files.out_dir), "participant", *app_options(config)]
        code = app([*words, "--work-dir", str(folder / "work")])
    for made, datatype in (
        (files.mask, folder / "mask" / "mask.nii.gz"),
        (files.out_dir / f"sub-{files.participant}.html", folder / "html" / "index.html"),
    ):
        if made.exists():
            datatype.parent.mkdir(exist_ok=True)
            shutil.copyfile(made, datatype)
    write_json(folder / "product.json", product(files, code))
    return code


def _metadata(config: Config, key: str) -> Mapping[str, Any]:
    """What Brainlife knows of the image of a key."""
    for one in config.get("_inputs", ()):
        if key in one.get("keys", ()):
            return dict(one.get("meta", {}))
    return {}


def _label(value: object) -> str | None:
    """A BIDS label of letters and digits."""
    return re.sub(r"[^0-9A-Za-z]", "", str(value)) or None if value is not None else None


def _extension(image: Path) -> str:
    # Brainlife calls the file t2starw.nii, compressed or not.
    with image.open("rb") as stream:
        return ".nii.gz" if stream.read(2) == b"\x1f\x8b" else ".nii"


if __name__ == "__main__":
    sys.exit(run(Path.cwd()))
