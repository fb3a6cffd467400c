"""Every command of docs/containers.md is run as it stands there."""

import shutil

import pytest

from cmb_bidsapp.callers import IMAGE
from tests.container.engines import call
from tests.documents import blocks
from tests.skeletons import result_of

pytestmark = pytest.mark.long

#: Blocks that run the app, each with its program.
RUNS = [
    (name, block)
    for name in ("docker", "podman", "apptainer")
    for block in blocks("docs/containers.md", f"{name} run")
    if "--entrypoint" not in block
]


def test_images_are_built_as_documented(docker, official, app, run_block):
    block = blocks("docs/containers.md", "docker build")[0]
    run_block(block)
    assert docker.has(f"{IMAGE}-app")
    docker.tag(app, IMAGE)


@pytest.mark.parametrize(("program", "block"), RUNS)
def test_what_is_documented_runs(program, block, request, run_block):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on the path")
    if program == "podman" and call("podman", "image", "exists", IMAGE).returncode != 0:
        pytest.skip("podman has images of its own, and not this one")
    if program == "apptainer":
        request.getfixturevalue("sif")
    assert result_of(run_block(block))[-1] == 0


def test_the_label_says_which_torch_it_is(docker, run_block):
    (block,) = blocks("docs/containers.md", "--label")
    run_block(block)
    show = ("--network", "none", "--entrypoint", "cat")
    found = docker.run(IMAGE, "/opt/cmb_bidsapp/torch.txt", options=show).stdout.strip()
    assert docker.inspect(IMAGE)["Config"]["Labels"]["cmb_bidsapp.torch"] == found != ""


def test_licenses_are_shown(docker, run_block):
    (block,) = blocks("docs/containers.md", "licenses.tsv")
    assert run_block(block).startswith("kind\tname\tversion\tlicense\ttext\n")


def test_every_block_is_run_by_a_test():
    assert [program for program, _ in RUNS] == ["docker", "docker", "podman", "apptainer"]
    known = ("docker build", "apptainer build", "docker run", "podman run", "apptainer run")
    shown = blocks("docs/containers.md")
    assert [block for block in shown if not any(words in block for words in known)] == []
