"""The lines that the documents have for a cluster and for Brainlife, with the real image."""

import json
import re
import shutil

import pytest

from tests.container.engines import call
from tests.documents import blocks
from tests.skeletons import result_of

pytestmark = pytest.mark.long


def test_a_cluster_runs_the_tasks_and_then_the_group_level(sif, checkout, run_block):
    if shutil.which("sinfo") is None or call("sinfo").returncode != 0:
        pytest.skip("there is no Slurm here that answers")
    block = blocks("docs/hpc.md", "cmb_bidsapp slurm")[0]
    *_, last = re.findall(r"^job (\d+):", run_block(block), re.MULTILINE)
    waited = call("srun", "--quiet", f"--dependency=afterany:{last}", "true", cwd=checkout)
    assert waited.returncode == 0, waited.stderr
    logs = {path.name: path.read_text() for path in (checkout / "out/logs/slurm").glob("*.log")}
    assert len(logs) == 2
    assert {name: result_of(log)[-1] for name, log in logs.items()} == dict.fromkeys(logs, 0), logs


def test_brainlife_gets_a_report_and_counts(sif, checkout, run_block):
    if shutil.which("singularity") is None or shutil.which("jq") is None:
        pytest.skip("Brainlife asks for singularity and jq; not both are on the path")
    anat = "bids/sub-01/anat/sub-01_"
    config = {"t1": f"{anat}T1w.nii.gz", "t2starw": f"{anat}T2starw.nii.gz"}
    (checkout / "config.json").write_text(json.dumps(config))
    (block,) = blocks("docs/callers.md", "./main")
    run_block(block)
    product = json.loads((checkout / "product.json").read_text())
    told = {message["type"] for message in product["brainlife"]}
    assert {"info", "success", "plotly"} <= told
    assert "error" not in told
    assert (checkout / "html" / "index.html").is_file()
    assert (checkout / "mask" / "mask.nii.gz").is_file()
