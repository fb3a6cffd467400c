"""Stand-ins for programs that are not installed where the tests run."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

#: Before any stand-in of a :class:`Machine`.
RECORD = """
import json, os, sys
with open(record, "a") as stream:
    stream.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
"""

#: Refuses what recon-all refuses, does its work, lets go of its lock.
RECON_ALL = """
import pathlib, shutil, signal, time

def value(flag):
    return sys.argv[sys.argv.index(flag) + 1]

folder = pathlib.Path(value("-sd")) / value("-s")
given = pathlib.Path(value("-i")) if "-i" in sys.argv else None
if not folder.parent.is_dir():
    sys.exit("SUBJECTS_DIR does not exist")
if (given is None) != folder.exists():
    sys.exit("You are trying to re-run an existing subject, or there is none")
scripts, image = folder / "scripts", folder / "mri" / "orig" / "001.mgz"
scripts.mkdir(parents=True, exist_ok=True)
done, lock = scripts / "recon-all.done", scripts / "IsRunning.lh+rh"
done.unlink(missing_ok=True)
if lock.exists():
    sys.exit("recon-all is already running")
lock.write_text(f"SUBJECT x\\nHOST elsewhere\\nPROCESSID {os.getpid()} \\n")
if given is not None:
    image.parent.mkdir(parents=True)
    image.write_bytes(given.read_bytes())
if not image.exists():
    sys.exit("no run data found")

def fail(line):
    with (scripts / "recon-all.log").open("a") as log:
        log.write(line + "\\n\\nrecon-all -s x exited with ERRORS\\n")
    done.write_text("1\\n")
    lock.unlink()
    sys.exit(1)

def lay_down():
    shutil.copytree(outputs, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)

WORK
(scripts / "recon-all.log").touch()
done.write_text("SUBJECT x\\nVERSION $Id: recon-all,v 1.379 $\\n")
lock.unlink()
"""


def install(folder: Path, name: str, script: str, interpreter: str = sys.executable) -> Path:
    """Write a script that can be called by its name where ``folder`` is on the path."""
    path = folder / name
    path.write_text(f"#!{interpreter}\n{script}")
    path.chmod(0o755)
    return path


def recon_all(outputs: Path, work: str = "lay_down()") -> str:
    """A recon-all that keeps the rules of FreeSurfer's script.

    ``work`` is what it does between its lock and its end: ``lay_down()`` copies ``outputs`` into
    the subject's folder, ``fail(line)`` ends as recon-all does when a step of it fails.
    """
    return f"outputs = {str(outputs)!r}\n" + RECON_ALL.replace("WORK", work)


class Run(NamedTuple):
    """What a stand-in was given."""

    argv: list[str]
    environment: dict[str, str]


class Machine:
    """A machine with no programs but the stand-ins that are installed; it remembers their runs."""

    def __init__(self, folder: Path):
        self.bin, self._record = folder / "bin", folder / "runs.jsonl"
        self.bin.mkdir()

    def install(self, name: str, script: str, interpreter: str = sys.executable) -> Path:
        record = f"record = {str(self._record)!r}\n{RECORD}"
        return install(self.bin, name, record + script, interpreter)

    @property
    def runs(self) -> list[Run]:
        """Every run of a stand-in, the last one last."""
        if not self._record.exists():
            return []
        return [Run(*json.loads(line)) for line in self._record.read_text().splitlines()]
