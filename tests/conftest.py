"""Fixtures that several parts of the suite share."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import sync_playwright

from tests import standins
from tests.anatomy.subjects import head, save, wmparc, write
from tests.skeletons import build_dataset
from tests.standins import Machine

# A slow machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of public images that are not part of the repository."""
    folder = os.environ.get("CMB_TEST_DATA")
    if not folder:
        pytest.skip("CMB_TEST_DATA is not set: it names the folder of the public test images")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"CMB_TEST_DATA is {folder}, which is no folder")
    return path


@pytest.fixture(scope="session")
def bert(data_dir):
    """Folder of FreeSurfer's sample subject."""
    folder = data_dir / "freesurfer" / "bert"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def bids(tmp_path):
    return build_dataset(
        tmp_path / "bids",
        {
            "sub-01_T2starw": {"EchoTime": 0.02},
            "sub-01_part-phase_T2starw": {},
            "sub-01_T1w": {},
            "sub-02_T1w": {},
            "sub-03_swi": {},
        },
    )


@pytest.fixture
def no_license(monkeypatch):
    """An environment that knows of no FreeSurfer license."""
    for name in ("FS_LICENSE", "FREESURFER_LICENSE", "FREESURFER_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine(tmp_path, monkeypatch, no_license):
    """A machine with no programs, and no license for them."""
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


@pytest.fixture
def t1w(tmp_path):
    return write(tmp_path / "head.nii.gz", "head")


@pytest.fixture
def license_file(tmp_path):
    return write(tmp_path / "license.txt", "key")


@pytest.fixture
def outputs(tmp_path):
    """What recon-all lays down, as far as it is read."""
    folder = tmp_path / "outputs"
    save(folder / "mri" / "aparc+aseg.mgz", head())
    save(folder / "mri" / "wmparc.mgz", wmparc().astype("int32"))
    return folder


@pytest.fixture
def install_recon_all(machine, outputs):
    """Install a recon-all that lays down the outputs, or does other work."""

    def install(work="lay_down()"):
        machine.install("recon-all", standins.recon_all(outputs, work))

    return install


@pytest.fixture(scope="module")
def chromium():
    """A headless browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(names)} is on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Open a file as a person would; its page may report no error and ask nothing of a network.

    Called with the path, and as options what ``Browser.new_context`` takes. A page that asks who
    reads is told that nobody does, unless it is opened ``to_read``.
    """
    wrong: list[str] = []

    def look_at(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            wrong.append(f"asked for {request.url}")

    contexts = []

    def opened(path: Path, *, to_read=False, **options):
        context = chromium.new_context(offline=True, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", look_at)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.goto(path.as_uri())
        looking = page.get_by_role("button", name="Just looking")
        if not to_read and looking.count():
            looking.click()
            page.locator("html:not(.starting)").wait_for(state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def no_gpu(monkeypatch):
    exists = Path.exists
    hidden = ("/dev/nvidia", "/dev/dxg")
    monkeypatch.setattr(
        Path, "exists", lambda path, **kw: not str(path).startswith(hidden) and exists(path, **kw)
    )
