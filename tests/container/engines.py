"""Container engines as a person calls them."""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]

#: A user that no list has, a root that cannot be written to, no network, no rights.
NOBODY = "48213:51907"
CONFINED = (
    *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--memory", "4g", "--pids-limit", "200", "--user", NOBODY),
)

#: As docker gives it to a user that no list has, where it gives one at all.
HOMELESS = ("--env", "HOME=/", "--env", "LANG=C", "--env", "LC_ALL=C")

Done = subprocess.CompletedProcess[str]


def call(*argv: object, **options: Any) -> Done:
    """Run a program; what it printed is kept, and shown where an assertion fails."""
    words = [str(word) for word in argv]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


class Docker(NamedTuple):
    """A command line that docker's users know."""

    program: str

    def build(self, tag: str, *options: str, context: Path = ROOT) -> str:
        """Build an image; its name."""
        done = call(self.program, "build", *options, "-t", tag, context)
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return tag

    def run(self, image: str, *arguments: object, options: tuple[str, ...] = ()) -> Done:
        """Run an image's program."""
        return call(self.program, "run", "--rm", *options, image, *arguments)

    def python(self, image: str, code: str) -> str:
        """What Python code prints in an image."""
        done = self.run(image, "-c", code, options=("--network", "none", "--entrypoint", "python"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inspect(self, image: str) -> dict[str, Any]:
        """What the engine knows of an image."""
        found = call(self.program, "image", "inspect", image)
        assert found.returncode == 0, found.stderr
        described: dict[str, Any] = json.loads(found.stdout)[0]
        return described

    def has(self, image: str) -> bool:
        """Whether an image is on this machine."""
        return call(self.program, "image", "inspect", image).returncode == 0

    def tag(self, image: str, name: str) -> None:
        """Give an image another name."""
        assert call(self.program, "tag", image, name).returncode == 0

    def remove(self, image: str) -> None:
        """Remove the name of an image."""
        call(self.program, "rmi", image)


def mounts(flag: str, **folders: Path) -> tuple[str, ...]:
    """Options that mount folders at ``/NAME``, ``data`` read-only."""
    return tuple(
        word
        for name, folder in folders.items()
        for word in (flag, f"{folder}:/{name}" + (":ro" if name == "data" else ""))
    )
