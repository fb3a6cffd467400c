import json
import shlex
from pathlib import Path

import pytest

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.callers import IMAGE
from cmb_bidsapp.options.parser import build_parser

BUNDLE = Path(__file__).parents[2] / "callers" / "nipoppy"

#: What Nipoppy puts in for a participant, or in the tracker for a session.
SUBSTITUTIONS = {
    "[[NIPOPPY_DPATH_BIDS]]": "/study/bids",
    "[[NIPOPPY_DPATH_PIPELINE_OUTPUT]]": "/study/derivatives/cmb_bidsapp/0.1.0/output",
    "[[NIPOPPY_DPATH_PIPELINE_WORK]]": "/study/scratch/work/cmb_bidsapp-0.1.0/cmb_bidsapp-01",
    "[[NIPOPPY_PARTICIPANT_ID]]": "01",
    "[[NIPOPPY_BIDS_PARTICIPANT_ID]]": "sub-01",
    "[[NIPOPPY_BIDS_SESSION_ID]]": "ses-A",
}


def read(name):
    text = (BUNDLE / name).read_text()
    for template, value in SUBSTITUTIONS.items():
        text = text.replace(template, value)
    return json.loads(text)


def test_the_bundle_names_this_release_and_its_own_files():
    config = json.loads((BUNDLE / "config.json").read_text())
    assert config["VERSION"] == __version__
    uri = config["CONTAINER_INFO"]["URI"]
    uri = uri.replace("[[PIPELINE_NAME]]", config["NAME"])
    assert uri.replace("[[PIPELINE_VERSION]]", config["VERSION"]) == f"docker://{IMAGE}"
    (step,) = config["STEPS"]
    files = {value for key, value in step.items() if key.endswith("_FILE")}
    assert files | {"config.json"} == {path.name for path in BUNDLE.iterdir()}


def test_the_invocation_becomes_a_command_line_of_the_app():
    invocation = read("invocation.json")
    inputs = {one["id"]: one for one in read("descriptor.json")["inputs"]}
    words = [invocation["bids_dir"], invocation["output_dir_name"], *invocation["analysis_level"]]
    words += [inputs["work_dir"]["command-line-flag"], invocation["work_dir"]]
    words += [inputs["participant_label"]["command-line-flag"], *invocation["participant_label"]]
    assert set(invocation) <= set(inputs)
    given = build_parser().parse_args(words)
    assert given.level == ["participant"]
    assert given.participant_label == ["01"]
    assert "[[" not in shlex.join(words)


def test_the_tracker_looks_for_what_the_app_writes(tmp_path):
    files = SessionFiles(tmp_path, "01", "A")
    for path in (tmp_path / "sub-01.html", files.lesions):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for pattern in read("tracker.json")["PATHS"]:
        assert list(tmp_path.glob(pattern)), pattern


def test_nipoppy_accepts_the_bundle():
    validation = pytest.importorskip("nipoppy.pipeline_validation")
    config = validation.check_pipeline_bundle(BUNDLE, strict=True)
    assert config.NAME == "cmb_bidsapp"
