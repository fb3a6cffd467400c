"""Command lines, and the settings they become on a machine of eight cores."""

from cmb_bidsapp.core.resources import Limit, Machine
from cmb_bidsapp.options.request import read_request
from cmb_bidsapp.options.resolve import resolve

MACHINE = Machine(cpus=Limit(8, "cores"), memory=Limit(64000, "free"), gpus=lambda: 0)


def settings_of(*words):
    return resolve(read_request([str(word) for word in words]), MACHINE)


#: Every option that changes a result, none at its default.
EVERYTHING = (
    "bids", "out", "participant", "group",
    "--participant-label", "01", "02", "--exclude-participant-label", "03",
    "--session-label", "A", "--bids-filter-file", "filters.json", "--acq-id", "acq-hi",
    "--brain-extraction", "embedded", "--parcellation", "freesurfer", "-d", "x=fs",
    "--fs-subjects-dir", "subjects", "--fs-license-file", "license.txt", "--fs-no-reconall",
    "--fs-no-resume", "--proxy-rules", "reference", "--jhu-atlas", "jhu.nii.gz",
    "--model", "mymodel", "--folds", "0", "--no-tta", "--threshold", "0.25", "--no-cfpr",
    "--cfpr-mode", "reference", "--cfpr-radius", "3", "--cfpr-ratio", "0.25", "--min-size", "1",
    "--phase-rule", "reject",
    "--baseline-limit", "9", "--output-spaces", "MNI152NLin6Asym",
    "--reference-derivatives", "truth", "--ratings", "ratings", "--random-seed", "5",
)  # fmt: skip
