"""What this machine or image has and lacks: checked before hours of work, told as text or JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cmb_bidsapp import __version__
from cmb_bidsapp.anatomy.backends import BACKENDS
from cmb_bidsapp.core import resources
from cmb_bidsapp.core.defaults import ANATOMY_MODEL
from cmb_bidsapp.core.errors import AppError, ExitCode, LicenseError
from cmb_bidsapp.core.outcome import common_code, plural
from cmb_bidsapp.core.resources import Machine
from cmb_bidsapp.levels.request import DoctorRequest
from cmb_bidsapp.models.card import WEIGHTS
from cmb_bidsapp.models.registry import load_bundle, load_card, load_lesion_model, packaged_models
from cmb_bidsapp.preprocess.brain import synthstrip_command
from cmb_bidsapp.report.participant import viewer_or_why
from cmb_bidsapp.tools.license import freesurfer_license

#: Room that a run needs at least, for a session and what its programs put aside, MB.
LEAST_ROOM_MB = 1000

#: Packages that compute; torch's version tells whether it was built for a GPU.
PACKAGES = ("torch", "antspyx", "nnunetv2")

#: What may be lacking, by key, and what to do; docs/troubleshooting.md has more on each.
REMEDIES = {
    "package-absent": "reinstall the app in its own environment",
    "model-damaged": "reinstall the app, or choose another model with --model",
    "parcellation-absent": "use the image with FreeSurfer, or --parcellation auto",
    "synthstrip-absent": "use the image with FreeSurfer, or --brain-extraction auto",
    "license-absent": "give --fs-license-file FILE; only recon-all needs it",
    "gpu-absent": "run the container with --gpus all (docker) or --nv (apptainer), or use the CPU",
    "memory-short": "give the job or container more memory, or check --mem",
    "output-not-writable": "choose another OUTPUT_DIR, or mount it as writable",
    "output-full": "free some disk space, or choose another OUTPUT_DIR",
    "work-not-writable": "choose a folder with -w, or run the container with --tmpfs /tmp",
    "work-full": "free some disk space, or choose another folder with -w",
    "viewer-absent": "reinstall the app; until then reports have pictures but no volumes",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    state
        ``ok``; ``absent``, which does no harm; ``lacking``, without which the run will fail.
    key
        Of :data:`REMEDIES`, where the state is not ``ok``.
    code
        Exit code that the run would end with.
    """

    what: str
    state: str
    told: str
    key: str = ""
    code: int = ExitCode.OK

    @property
    def remedy(self) -> str:
        """What to do; empty where nothing is."""
        return REMEDIES[self.key] if self.key else ""


def diagnose(request: DoctorRequest, machine: Machine) -> list[Finding]:
    """Look at everything that a run needs or may use.

    Parameters
    ----------
    request
        What a run is going to ask of the machine.
    machine
        Cores, memory and devices of this machine.
    """
    return [
        *_program(),
        *_models(request),
        *_brain_extraction(request),
        *_parcellation(request),
        *_machine(request, machine),
        *_folders(request),
    ]


def run_doctor(request: DoctorRequest, machine: Machine) -> int:
    """Print the findings; returns 0, or the exit code of what is lacking.

    Parameters
    ----------
    request
        What a run is going to ask of the machine, and whether to print JSON.
    machine
        Cores, memory and devices of this machine.
    """
    findings = diagnose(request, machine)
    code = common_code(f.code for f in findings if f.state == "lacking")
    if request.json:
        listed = [{**asdict(f), "code": int(f.code), "remedy": f.remedy} for f in findings]
        print(json.dumps({"version": __version__, "exit": int(code), "findings": listed}, indent=2))
        return int(code)
    for finding in findings:
        remedy = f" ({finding.key}: {finding.remedy})" if finding.key else ""
        print(f"{finding.state:8} {finding.what}: {finding.told}{remedy}")
    lacking = sum(f.state == "lacking" for f in findings)
    more = f"{lacking} lacking; see docs/troubleshooting.md" if lacking else "nothing is lacking"
    print(f"exit code {int(code)}: {more}")
    return int(code)


def _program() -> Iterator[Finding]:
    image = os.environ.get("CMB_BIDSAPP_IMAGE", "not an official container image")
    told = f"{__version__}, Python {platform.python_version()}, {platform.machine()}, {image}"
    yield _ok("cmb_bidsapp", told)
    yield _packages()
    viewer, why = viewer_or_why()
    yield _ok("viewer", "packaged") if viewer else _absent("viewer", why, "viewer-absent")


def _packages() -> Finding:
    """Versions of what computes, without importing it, which takes seconds."""
    found: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    told = ", ".join(f"{name} {known or 'is missing'}" for name, known in found.items())
    if all(found.values()):
        return _ok("packages", told)
    return Finding(
        what="packages",
        state="lacking",
        told=told,
        key="package-absent",
        code=ExitCode.INTERNAL,
    )


def _models(request: DoctorRequest) -> Iterator[Finding]:
    """Every packaged bundle with its license, all its files verified, and the model asked for."""
    needed = {ANATOMY_MODEL, request.model}
    for name in (*packaged_models(), *({request.model} - {*packaged_models()})):
        try:
            if name in packaged_models():
                bundle, card = load_bundle(name), load_card(name)
                told = f"{bundle.name}, {card.license}, SHA-256 {card.files[WEIGHTS]}, verified"
            else:
                told = f"{load_lesion_model(name).name}, readable"
        except AppError as error:
            lacking = name in needed
            yield Finding(
                what=f"model {name}",
                state="lacking" if lacking else "absent",
                told=str(error),
                key="model-damaged",
                code=error.code if lacking else ExitCode.OK,
            )
        else:
            yield _ok(f"model {name}", told)


def _brain_extraction(request: DoctorRequest) -> Iterator[Finding]:
    yield _ok("brain extraction, embedded", "our own network")
    command = synthstrip_command()
    yield _program_there(
        "brain extraction, synthstrip",
        command[0] if command else None,
        "synthstrip-absent",
        needed=request.brain_extraction == "synthstrip",
    )


def _parcellation(request: DoctorRequest) -> Iterator[Finding]:
    for name, backend in BACKENDS.items():
        what, needed = f"parcellation, {name}", request.parcellation == name
        if backend.program is None:
            yield _ok(what, backend.help)
        else:
            found = shutil.which(backend.program)
            yield _program_there(what, found, "parcellation-absent", needed=needed)
    needed = BACKENDS[request.parcellation].licensed
    try:
        with freesurfer_license(request.fs_license_file) as path:
            # A path alone: the text is nobody's business.
            yield _ok("FreeSurfer license", f"{path}" if path.exists() else "there")
    except LicenseError as error:
        yield Finding(
            what="FreeSurfer license",
            state="lacking" if needed else "absent",
            told=str(error),
            key="license-absent",
            code=error.code if needed else ExitCode.OK,
        )


def _machine(request: DoctorRequest, machine: Machine) -> Iterator[Finding]:
    try:
        used, found = resources.choose_device(request.device, machine.gpus), machine.gpus()
    except AppError as error:
        yield Finding(
            what="GPU", state="lacking", told=str(error), key="gpu-absent", code=error.code
        )
    else:
        told = f"{found} CUDA device(s); {used} is used"
        yield _ok("GPU", told) if found else _absent("GPU", told, "gpu-absent")
    cpus, memory = machine.cpus, machine.memory
    if request.nprocs is not None:
        cpus = resources.Limit(request.nprocs, "--nprocs")
    if request.mem:
        memory = resources.Limit(resources.parse_memory(request.mem), "--mem")
    yield _ok("cores", f"{cpus.value} ({cpus.reason})")
    told = f"{memory.value} MB ({memory.reason}); a session takes up to {resources.SESSION_MB}"
    if memory.value < resources.SESSION_MB:
        yield Finding(
            what="memory", state="lacking", told=told, key="memory-short", code=ExitCode.TEMPORARY
        )
    else:
        yield _ok("memory", told)
    processes = resources.most_sessions(cpus.value, memory.value, None)
    _, alone = resources.share(cpus.value, processes, None, 1)
    yield _ok("sessions at a time", f"up to {processes}; one alone has {plural(alone, 'thread')}")


def _folders(request: DoctorRequest) -> Iterator[Finding]:
    if request.output_dir is not None:
        yield _room("output", request.output_dir)
    try:
        yield _room("work", request.work_dir or Path(tempfile.gettempdir()))
    except FileNotFoundError as error:
        yield _not_writable("work", str(error.strerror))


def _room(which: str, folder: Path) -> Finding:
    """Whether a folder, or the one that it is to be made in, can be written to and has room."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    what = f"{which} folder"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return _not_writable(which, f"{folder} cannot be written to")
    free = shutil.disk_usage(there).free >> 20
    told = f"{folder}, {free} MB free"
    if free < LEAST_ROOM_MB:
        told += f", at least {LEAST_ROOM_MB} are needed"
        return Finding(
            what=what, state="lacking", told=told, key=f"{which}-full", code=ExitCode.TEMPORARY
        )
    return _ok(what, told)


def _not_writable(which: str, told: str) -> Finding:
    return Finding(
        what=f"{which} folder",
        state="lacking",
        told=told,
        key=f"{which}-not-writable",
        code=ExitCode.CANNOT_WRITE,
    )


def _ok(what: str, told: str) -> Finding:
    return Finding(what=what, state="ok", told=told)


def _absent(what: str, told: str, key: str) -> Finding:
    return Finding(what=what, state="absent", told=told, key=key)


def _program_there(what: str, path: str | None, key: str, *, needed: bool) -> Finding:
    if path is not None:
        return _ok(what, path)
    if not needed:
        return _absent(what, "not installed", key)
    return Finding(
        what=what,
        state="lacking",
        told="not installed",
        key=key,
        code=ExitCode.COMMAND_MISSING,
    )
