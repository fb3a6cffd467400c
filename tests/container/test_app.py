"""The image without FreeSurfer: what is in it, and that it runs for anybody, anywhere."""

import json
import os

from cmb_bidsapp import __version__
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.callers import IMAGE
from tests.container.conftest import APP
from tests.container.engines import CONFINED, HOMELESS, NOBODY, ROOT, mounts
from tests.skeletons import result_of


def test_the_dockerfile_names_this_version():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert f"ARG VERSION={__version__}" in lines
    assert f"ARG IMAGE={IMAGE.replace(__version__, '${VERSION}')}" in lines


def test_labels_say_what_the_image_is(docker, app):
    labels = docker.inspect(app)["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[prefix + "version"] == __version__
    assert labels[prefix + "revision"] == "abc"
    assert labels[prefix + "title"] == "cmb_bidsapp"
    assert labels[prefix + "licenses"] == "Apache-2.0"


def test_the_image_is_small(docker, app):
    assert docker.inspect(app)["Size"] < 2.5e9


def test_torch_is_for_the_cpu_and_draws_nothing_of_nvidia(docker, app):
    code = """
import importlib.metadata, torch
print(torch.version.cuda, *(d.metadata["Name"] for d in importlib.metadata.distributions()))
"""
    cuda, *packages = docker.python(app, code).split()
    assert cuda == "None"
    assert [
        name for name in packages if name.lower().startswith(("nvidia", "cuda", "triton"))
    ] == []


def test_there_is_no_compiler_and_no_pip(docker, app):
    code = (
        "import shutil; print([n for n in ('gcc', 'cc', 'make', 'pip', 'pip3') if shutil.which(n)])"
    )
    assert docker.python(app, code).strip() == "[]"


def test_every_part_has_the_text_of_its_license_in_the_image(docker, app):
    code = """
import csv, json, pathlib
folder = pathlib.Path("/usr/share/cmb_bidsapp")
rows = list(csv.DictReader((folder / "licenses.tsv").open(), delimiter="\\t"))
parts = json.loads((folder / "sbom.cdx.json").read_text())["components"]
absent = [row["name"] for row in rows if not pathlib.Path(row["text"]).exists()]
print(json.dumps([len(rows), len(parts), absent, sorted({row["kind"] for row in rows})]))
"""
    rows, parts, absent, kinds = json.loads(docker.python(app, code))
    assert rows == parts > 100
    assert absent == []
    assert kinds == ["debian", "model", "python"]


def test_what_became_of_the_prefetched_space_is_kept(docker, app):
    code = "print(open('/opt/templateflow/prefetched.json').read())"
    kept = json.loads(docker.python(app, code))
    assert kept["space"] == "MNI152NLin2009cAsym"
    assert bool(kept.get("files")) is kept["fetched"]


def test_a_login_shell_finds_the_app(docker, app):
    done = docker.run(app, "-lc", "cmb_bidsapp --version", options=("--entrypoint", "bash"))
    assert done.stdout.strip() == f"cmb_bidsapp {__version__}"


def test_no_place_for_temporary_files_is_said_with_what_to_do(docker, app, dataset):
    options = ("--read-only", "--user", NOBODY, *mounts("-v", data=dataset))
    done = docker.run(app, "/data", "/data/derivatives/x", "participant", options=options)
    assert done.returncode == 73
    assert "--tmpfs /tmp" in done.stderr


def test_nobody_anywhere_gets_results(result):
    out_dir, done = result
    assert done.returncode == 0, done.stdout + done.stderr
    assert result_of(done.stdout) == (1, 0, 0, 0)
    assert done.stderr == ""
    assert (out_dir / "sub-01.html").is_file()
    assert read_table(out_dir / "sub-01" / "anat" / "sub-01_label-CMB_lesions.tsv") != []


def test_results_belong_to_who_ran_it(result):
    uid, gid = map(int, NOBODY.split(":"))
    owners = {(p.stat().st_uid, p.stat().st_gid) for p in result[0].rglob("*")}
    assert owners == {(uid, gid)} or os.getuid() != 0  # other engines map users


def test_no_library_complains_of_the_home(result):
    logs = [p.read_text() for p in result[0].glob("logs/*/*.log")]
    assert len(logs) > 0
    assert [line for log in logs for line in log.splitlines() if "MPLCONFIGDIR" in line] == []


def test_results_name_the_image_they_were_made_by(result):
    description = json.loads((result[0] / "dataset_description.json").read_text())
    (own,) = description["GeneratedBy"]
    assert own["Container"] == {"Type": "docker", "Tag": APP}
    assert own["Version"] == __version__


def test_the_group_level_needs_the_outputs_only(result, docker, app):
    options = (*CONFINED, *HOMELESS, *mounts("-v", out=result[0]))
    done = docker.run(app, "/nowhere", "/out", "group", options=options)
    assert done.returncode == 0, done.stderr
    assert (result[0] / "group_mars.tsv").is_file()
