"""The whole program with phases that take no time, for faults that need many runs.

``python -m tests.faults.tiny BIDS_DIR OUT_DIR participant ...`` is the command line; ``child``
as the only argument is what it starts for a session, ``worker ...`` a dask worker that starts it.
Command line, engine, stamps, status and atomic writes are the real ones; phases copy text, and
reports have one line.

A participant's label says what happens to it: ``hang...`` never ends, ``bad...`` is bad data,
``slow...`` takes a second, ``big...`` has its image read as the app reads it, ``scratch...`` needs
1 MB of temporary files.
"""

import hashlib
import os
import sys
import time
from pathlib import Path
from types import MappingProxyType

from cmb_bidsapp import workflow
from cmb_bidsapp.bids.images import read_image
from cmb_bidsapp.bids.outputs import sidecar_of, write_json, write_text
from cmb_bidsapp.core.errors import RefusedScanError
from cmb_bidsapp.core.scratch import scratch_folder
from cmb_bidsapp.phases.base import Phase, Result

#: File that is told of every phase that begins.
MARKS = "TINY_MARKS"
#: With it in the environment everybody is bad data.
REFUSES = "TINY_REFUSES"
#: File that is told of every connection that is asked for, and every name that is looked up.
CONNECTIONS = "TINY_CONNECTIONS"


def _work(name, sources, targets):
    def run(session, files, settings, step):
        step(name)
        with Path(os.environ[MARKS]).open("a") as stream:
            stream.write(f"{files.label} {name}\n")
        bad = session.participant.startswith("bad") or REFUSES in os.environ
        if bad and name == "prepare":
            raise RefusedScanError("no good")
        if session.participant.startswith("hang"):
            time.sleep(600)
        if session.participant.startswith("slow"):
            time.sleep(1)
        if session.participant.startswith("big"):
            read_image(session.t2star.path)
        if session.participant.startswith("scratch"):
            with scratch_folder("tiny-") as folder:
                (folder / "file").write_bytes(bytes(1 << 20))
        used = sources(session, files)
        text = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in used)
        for target in targets(files):
            time.sleep(0.01)
            write_json(sidecar_of(target), {"Sources": [path.name for path in used]})
            write_text(target, f"{name} {text}\n" * 2000)
        return Result(tuple(targets(files)))

    def inputs(session, files, _):
        return sources(session, files)

    return Phase(name=name, run=run, inputs=inputs, parameters=lambda *_: {}, version=1)


def _tell_of_connections(event, arguments):
    if arguments[:1] == ("127.0.0.1",):
        return  # The pool's status pages, which only this machine can see.
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        with Path(os.environ[CONNECTIONS]).open("a") as stream:
            stream.write(f"{event} {arguments}\n")


PHASES = (
    _work("prepare", lambda s, f: [s.t2star.path], lambda f: [f.t2star, f.proxy]),
    _work("segment", lambda s, f: [f.t2star], lambda f: [f.probability, f.network_labels]),
    _work("decide", lambda s, f: [f.probability, f.proxy], lambda f: [f.mask, f.lesions]),
)


def _install():
    """Put the phases in the place of the real ones; nothing else of the app is imported yet."""
    workflow.STAGES = MappingProxyType({"session": PHASES, "follow-up": (), "sensitivity": ()})
    sys.addaudithook(_tell_of_connections)


def report(settings, label, sessions):
    """A report of one line."""
    path = settings.out_dir / f"sub-{label}.html"
    shown = [(one.session.label, one.error) for one in sessions]
    write_text(path, f"{sorted(shown)}\n")
    return path


def _app(arguments):
    from cmb_bidsapp.cli import main
    from cmb_bidsapp.levels import participant, reports

    participant.write_citation = lambda *_: None
    reports.write_participant_report = report
    sys.executable = os.environ["TINY_CHILD"]
    return main(arguments)


if __name__ == "__main__":
    # What is pickled belongs to the imported module, not to __main__.
    from tests.faults import tiny

    tiny._install()
    if sys.argv[1:2] == ["-m"]:
        from cmb_bidsapp.engine.child import main as child

        sys.exit(child())
    if sys.argv[1:2] == ["worker"]:
        from distributed.cli.dask_worker import main as worker

        sys.executable = os.environ["TINY_CHILD"]
        sys.exit(worker(sys.argv[2:]))
    sys.exit(tiny._app(sys.argv[1:]))
