"""Engines, images and a dataset; tests are skipped where there is no engine on the path.

The whole suite runs what is short. ``pytest tests/container`` runs everything.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from cmb_bidsapp.callers import IMAGE
from tests.container.engines import CONFINED, HOMELESS, ROOT, Docker, call, mounts
from tests.container.official import NAMES, lay_out
from tests.documents import blocks
from tests.skeletons import tree

HERE = Path(__file__).parent

#: What the images begin with.
BASE = "debian:bookworm-slim"

#: What the tests call the image of the app.
APP = "cmb_bidsapp-test/app"

#: What images are built from.
SOURCES = (
    *("Dockerfile", ".dockerignore", "singularity.def", "container", "cmb_bidsapp"),
    *("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "main"),
)


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs where tests/container is named only")


def pytest_collection_modifyitems(config, items):
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if any(path.is_relative_to(HERE) for path in named):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: name tests/container to run it"))


@pytest.fixture(scope="session")
def docker():
    for name in ("docker", "podman"):
        program = shutil.which(name)
        if program and call(program, "version").returncode == 0:
            engine = Docker(program)
            if not engine.has(BASE) and call(program, "pull", BASE).returncode != 0:
                pytest.skip(f"{BASE} is not on this machine and cannot be pulled")
            return engine
    pytest.skip("neither docker nor podman is on the path and works")


@pytest.fixture(scope="session")
def app(docker):
    """The image without FreeSurfer."""
    return docker.build(
        APP, "--target", "app", "--build-arg", "REVISION=abc", "--build-arg", f"IMAGE={APP}"
    )


@pytest.fixture(scope="session")
def scratch():
    """A folder that every user of this machine can reach."""
    folder = Path(tempfile.mkdtemp(prefix="cmb-container-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def open_folder(scratch):
    """Make a folder that every user can write to."""

    def made(name: str) -> Path:
        folder = scratch / name
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    return made


@pytest.fixture(scope="session")
def dataset(docker, app, open_folder):
    """One simulated participant with thick slices."""
    folder = open_folder("bids")
    done = docker.run(
        app,
        *("simulate", "/bids", "--participants", 1, "--microbleeds", 6, 6),
        *("--protocol", "b0=3,te=20,voxel=1x1x5"),
        options=("--network", "none", *mounts("-v", bids=folder)),
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def result(docker, app, dataset, open_folder):
    """A participant processed by nobody, with nothing but the outputs to write to."""
    out_dir, before = open_folder("out"), tree(dataset)
    options = (*CONFINED, *HOMELESS, *mounts("-v", data=dataset, out=out_dir))
    done = docker.run(app, "/data", "/out", "participant", options=options)
    assert tree(dataset) == before, "something was written into the dataset"
    return out_dir, done


@pytest.fixture(scope="session")
def checkout(docker, app, dataset, result, open_folder):
    """Where the documented commands run: the sources, and a dataset with its results.

    The app goes by the documented name, without FreeSurfer. Engines may map users, so everybody
    can write.
    """
    folder = open_folder("checkout")
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)
    shutil.copytree(dataset, folder / "bids")
    shutil.copytree(result[0], folder / "out")
    (folder / "scratch").mkdir()
    assert call("chmod", "-R", "a+rwX", folder).returncode == 0
    docker.tag(app, IMAGE)
    return folder


@pytest.fixture(scope="session")
def run_block(checkout):
    """Run a documented block of commands as a person would; what it printed."""

    path = f"{os.environ['PATH']}:{Path(sys.executable).parent}"

    def run(block: str) -> str:
        argv = ("bash", "-euo", "pipefail", "-c", block)
        done = call(*argv, cwd=checkout, env=os.environ | {"PATH": path})
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def sif(checkout, run_block):
    """The Apptainer image, built as documented."""
    if shutil.which("apptainer") is None:
        pytest.skip("apptainer is not on the path")
    (block,) = blocks("docs/containers.md", "apptainer build")
    run_block(block)
    return checkout / "cmb_bidsapp.sif"


@pytest.fixture(scope="session")
def official(docker, tmp_path_factory):
    """Stand-ins under the official names; where the real images are, those are left alone."""
    for name in NAMES.values():
        if docker.has(name):
            pytest.skip(f"{name} is on this machine; a stand-in must not take its name")
    for kind, name in NAMES.items():
        context = tmp_path_factory.mktemp(kind)
        lay_out(kind, context)
        docker.build(name, context=context)
    yield
    for name in NAMES.values():
        docker.remove(name)
