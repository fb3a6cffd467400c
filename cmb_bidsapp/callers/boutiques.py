"""The Boutiques descriptor, made from the parser.

``python -m cmb_bidsapp.callers.boutiques FILE ...`` writes it to each FILE; the repository holds it
as ``boutiques.json``, and in the Nipoppy bundle, which has to hold all of its files.

Schema 0.5, with what ``bosh validate --bids`` asks for: a fixed beginning of the command line, one
output, the folder, and two inputs for it, a text and a file. Of the two ``bosh`` writes the first
only, so that is the one to give; the other has it mount the folder.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

from cmb_bidsapp import __version__
from cmb_bidsapp.callers import IMAGE
from cmb_bidsapp.callers.options import MADE, flag_of, groups_of, is_flag, options_of
from cmb_bidsapp.core.errors import ExitCode
from cmb_bidsapp.options.base import Number, Range
from cmb_bidsapp.options.parser import LEVELS, build_parser

#: These come first on the command line, in this order.
FIRST = ("participant_label", "session_label")

#: For one session at a time, with room for thin slices: memory and disk in GB, time in s.
RESOURCES = {"cpu-cores": 4, "ram": 8, "disk-space": 1, "walltime-estimate": 900}

POSITIONALS: tuple[dict[str, Any], ...] = (
    {
        "id": "bids_dir",
        "name": "BIDS directory",
        "description": "root of the BIDS dataset",
        "type": "File",
        "value-key": "[BIDS_DIR]",
        "optional": False,
    },
    {
        "id": "output_dir_name",
        "name": "Output directory name",
        "description": "derivatives go here",
        "type": "String",
        "value-key": "[OUTPUT_DIR]",
        "optional": False,
    },
    {
        "id": "participant_level_analysis_dir",
        "name": "Output directory to mount",
        "description": "the same folder, where it is there already and lies outside of the "
        "current one: the container sees it",
        "type": "File",
        "value-key": "[OUTPUT_DIR]",
        "optional": True,
    },
    {
        "id": "analysis_level",
        "name": "Analysis level",
        "description": "what to run: participant, group, or both in this order",
        "type": "String",
        "value-key": "[ANALYSIS_LEVEL]",
        "list": True,
        "min-list-entries": 1,
        "max-list-entries": len(LEVELS),
        "value-choices": list(LEVELS),
        "optional": False,
    },
)

OUTPUT = {
    "id": "output_dir",
    "name": "Output directory",
    "description": "BIDS derivatives: sub-*.html, sub-*/[ses-*/]anat/ with masks, labels and "
    "*_label-CMB_lesions.tsv, group.html, group_*.tsv, logs/status.tsv",
    "path-template": "[OUTPUT_DIR]",
    "optional": False,
}

#: Run in a folder where ``cmb_bidsapp demo`` was run; the first runs anywhere else.
TESTS = (
    {
        "name": "a folder that is no dataset",
        "invocation": {
            "bids_dir": ".",
            "output_dir_name": "derivatives/none",
            "analysis_level": ["participant"],
        },
        "assertions": {"exit-code": int(ExitCode.DATA)},
    },
    {
        "name": "the demo, as a rerun",
        "invocation": {
            "bids_dir": "cmb_demo/bids",
            "output_dir_name": "cmb_demo/derivatives",
            "analysis_level": ["participant", "group"],
        },
        "assertions": {"exit-code": int(ExitCode.OK), "output-files": [{"id": "output_dir"}]},
    },
)


def descriptor(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The descriptor of a program with the options of ``parser``."""
    options = options_of(parser)
    inputs = [_input(option) for option in options]
    inputs.sort(key=lambda one: (one["id"] not in FIRST, one["id"] != FIRST[0]))
    keys = " ".join(one["value-key"] for one in inputs)
    return {
        "name": parser.prog,
        "tool-version": __version__,
        "schema-version": "0.5",
        "description": f"{parser.description} After Kwon, Seo and Park, Anatomically-Guided "
        "Segmentation of Cerebral Microbleeds in T1-weighted and T2*-weighted MRI, MICCAI 2024. "
        "The results are an imaging summary, not a diagnosis.",
        "command-line": f"mkdir -p [OUTPUT_DIR]; {parser.prog} [BIDS_DIR] [OUTPUT_DIR] "
        f"[ANALYSIS_LEVEL] {keys}",
        # Not sh: bosh makes that a login shell, which forgets the path of the image.
        "shell": "/bin/bash",
        "container-image": {"type": "docker", "image": IMAGE},
        "inputs": [*POSITIONALS, *inputs],
        "groups": [
            {"id": _slug(title), "name": title, "members": [_id(one) for one in members]}
            for title, members in groups_of(parser).items()
        ],
        "output-files": [OUTPUT],
        "error-codes": [
            {"code": int(code), "description": code.meaning} for code in ExitCode if code
        ],
        "suggested-resources": RESOURCES,
        "tags": {
            "domain": ["neuroinformatics", "neuroimaging"],
            "modality": ["mri", "t1w", "t2starw", "swi"],
            "purpose": ["cerebral microbleeds", "segmentation", "lesion counts"],
            "standard": "bids-app",
        },
        "tests": list(TESTS),
    }


def _input(action: argparse.Action) -> dict[str, Any]:
    """One option as Boutiques has it."""
    name = _id(action)
    described: dict[str, Any] = {
        "id": name,
        "name": name.replace("_", " ").capitalize(),
        "description": (action.help or name.replace("_", " ")) % vars(action),
        "type": _type(action),
        "value-key": f"[{name.upper()}]",
        "command-line-flag": flag_of(action),
        "optional": not action.required,
    }
    if action.choices:
        described["value-choices"] = list(action.choices)
    if action.type is int and not is_flag(action):
        described["integer"] = True
    if isinstance(action, Number):
        described |= _limits(action.within)
    if action.nargs is not None and not is_flag(action):
        described["list"] = True
        described["min-list-entries"] = 1
    elif action.default is not None and not is_flag(action):
        described["default-value"] = action.default
    return described


def _limits(within: Range) -> dict[str, Any]:
    """A range as Boutiques has it."""
    limits: dict[str, Any] = {"minimum": within.low}
    if not within.low_included:
        limits["exclusive-minimum"] = True
    if math.isfinite(within.high):
        limits["maximum"] = within.high
        if not within.high_included:
            limits["exclusive-maximum"] = True
    return limits


def _type(action: argparse.Action) -> str:
    if is_flag(action):
        return "Flag"
    if action.type in (int, float):
        return "Number"
    # A File has to be there already, and is mounted into the container.
    return "File" if action.type is Path and action.dest not in MADE else "String"


def _id(action: argparse.Action) -> str:
    """The name of an option; of a switch that is on, that of its opposite."""
    flag = flag_of(action)
    return _slug(flag) if flag.startswith("--no-") else action.dest


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def main(paths: list[str]) -> None:
    """Write the descriptor."""
    text = json.dumps(descriptor(build_parser()), indent=2) + "\n"
    for path in paths:
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
