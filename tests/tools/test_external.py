"""External programs, driven through scripts that end, fail and die in every way they can."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cmb_bidsapp.core.errors import CommandMissingError, DataError, TemporaryError, classify
from cmb_bidsapp.tools import external


def run(*argv, **options):
    external.run(argv, instead="--parcellation atlas", **options)


def test_arguments_reach_the_program_as_they_are(machine, tmp_path):
    machine.install("tool", "import json, sys; print(json.dumps(sys.argv[1:]))")
    run("tool", "a b", "$HOME", "*", ";", log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == '["a b", "$HOME", "*", ";"]\n'


def test_both_outputs_are_added_to_the_log(machine, tmp_path):
    machine.install("tool", "import sys; print('out', flush=True); print('err', file=sys.stderr)")
    log = tmp_path / "deep" / "log.txt"
    run("tool", log=log)
    run("tool", log=log)
    assert log.read_text() == "out\nerr\nout\nerr\n"


def test_variables_come_beside_ours_and_before_them(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("CHANGED", "old")
    machine.install("tool", "import os; print(os.environ['KEPT'], os.environ['CHANGED'])")
    run("tool", environment={"CHANGED": "new"}, log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == "kept new\n"
    assert os.environ["CHANGED"] == "old"


def test_a_missing_program_names_the_image_and_the_way_round(machine):
    with pytest.raises(CommandMissingError, match=r"full.*--parcellation atlas") as e:
        run("no-such-tool")
    assert str(e.value).startswith("no-such-tool is not installed")
    assert classify(e.value)[0] == 127


def test_a_missing_interpreter_is_told_from_a_missing_program(machine):
    machine.install("tool", "", interpreter="/no/such/csh")
    with pytest.raises(CommandMissingError, match="interpreter"):
        run("tool")


def test_a_failure_quotes_status_and_last_lines(machine):
    machine.install(
        "tool",
        "import sys\n"
        "for number in range(300): print('line', number)\n"
        "print('   the   cause \\n\\n')\n"
        "sys.exit(3)",
    )
    with pytest.raises(DataError, match=r"^tool failed with status 3: ") as error:
        run("tool")
    message = str(error.value)
    assert message.endswith("line 298 | line 299 | the cause")
    assert "line 200 " not in message
    assert classify(error.value)[0] == 65


def test_only_what_this_run_said_is_quoted(machine, tmp_path):
    log = tmp_path / "log"
    log.write_text("an old story\n")
    machine.install("tool", "import sys; print('news'); sys.exit(1)")
    with pytest.raises(DataError, match=r"status 1: news$"):
        run("tool", log=log)
    assert log.read_text() == "an old story\nnews\n"


@pytest.mark.parametrize(("writes", "said"), [("own", "own$"), ("", "output$")])
def test_a_log_of_the_program_itself_is_quoted_where_it_grew(machine, tmp_path, writes, said):
    own = tmp_path / "own.log"
    own.write_text("an old story\n")
    machine.install(
        "tool",
        f"import sys\nprint('output')\nopen({str(own)!r}, 'a').write({writes!r})\nsys.exit(1)",
    )
    with pytest.raises(DataError, match=f"status 1: {said}"):
        run("tool", own_log=own)


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9 .SIGKILL, .*memory.*fewer sessions"),
        ("os._exit(137)", "signal 9 .SIGKILL, .*memory.*fewer sessions"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "signal 15 .SIGTERM, .*scheduler.*time limit"),
        ("os._exit(143)", "signal 15 .SIGTERM"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11 .SIGSEGV, a crash"),
        ("os._exit(134)", "signal 6 .SIGABRT, a crash"),
        ("os.kill(os.getpid(), signal.SIGUSR1)", "signal 10 .SIGUSR1."),
    ],
)
def test_a_killed_program_names_the_signal_and_what_it_means(machine, ending, said):
    machine.install(
        "tool",
        "import os, resource, signal\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"print('working', flush=True)\n{ending}",
    )
    with pytest.raises(TemporaryError, match=f"^tool was killed by {said}.*: working") as error:
        run("tool")
    assert classify(error.value)[0] == 75


@pytest.mark.parametrize(
    "step",
    [
        # In the words of the shell of this machine.
        """subprocess.run(["/bin/sh", "-c", "/bin/sh -c 'kill -9 $$'; exit 1"])""",
        "print('/fs/bin/reconbatchjobs: line 81:  256 Killed    exec $JOB >> $LOG 2>&1')",
        "print('Command terminated by signal 9')",
    ],
)
def test_a_killed_step_of_a_program_is_known_by_its_last_lines(machine, step):
    machine.install(
        "tool", f"import subprocess, sys\n{step}\nprint('exited with ERRORS')\nsys.exit(1)"
    )
    with pytest.raises(TemporaryError, match=r"^a step of tool was killed by signal 9 ") as error:
        run("tool")
    assert "SIGKILL, most likely out of memory" in str(error.value)
    assert "exited with ERRORS" in str(error.value)
    assert classify(error.value)[0] == 75


def test_a_killed_step_that_the_programs_own_log_passes_over_is_known(machine, tmp_path):
    own = tmp_path / "own.log"
    script = f"print('Killed')\nopen({str(own)!r}, 'a').write('exited with ERRORS')\nsys.exit(1)"
    machine.install("tool", f"import sys\n{script}")
    with pytest.raises(TemporaryError, match=r"^a step of tool.*: exited with ERRORS$"):
        run("tool", own_log=own)


@pytest.mark.parametrize(
    "said", ["Killed\\n" + "line\\n" * 10, "skilled", "Killedeer", "terminated by signal 99"]
)
def test_words_like_it_and_words_long_before_the_end_do_not_count(machine, said):
    machine.install("tool", f"import sys; print('{said}'); sys.exit(1)")
    with pytest.raises(DataError, match="status 1"):
        run("tool")


@pytest.mark.parametrize("status", [1, 126, 127, 128, 255])
def test_a_status_that_is_no_signal_is_a_failure(machine, status):
    machine.install("tool", f"raise SystemExit({status})")
    with pytest.raises(DataError, match=f"status {status}"):
        run("tool")


@pytest.mark.parametrize("script", ["", "raise SystemExit(1)"])
def test_our_own_handling_of_sigterm_comes_back(machine, script):
    def ours(*_):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, ours)
    try:
        machine.install("tool", script)
        if script:
            with pytest.raises(DataError):
                run("tool")
        else:
            run("tool")
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_run_programs_too(machine, tmp_path):
    machine.install("tool", "print('done')")
    thread = threading.Thread(target=run, args=["tool"], kwargs={"log": tmp_path / "log"})
    thread.start()
    thread.join()
    assert (tmp_path / "log").read_text() == "done\n"


#: Two processes that write to a pipe and stay; whoever reads to its end knows that none is left.
STAYS = """
import os, signal, sys, time
def heed(*_):
    os.write(pipe, b"asked\\n")
    {heed}
pipe = os.open({pipe!r}, os.O_WRONLY)
signal.signal(signal.SIGTERM, heed)
os.fork()
os.write(pipe, b"started\\n")
end = time.monotonic() + 30
while time.monotonic() < end:
    time.sleep(0.1)
os.write(pipe, b"survived\\n")
"""

#: What they do when they are asked to go.
GO, STAY = "os._exit(0)", "pass"
GO_TIDILY = "time.sleep(1); os.write(pipe, b'tidied'); os._exit(0)"

US = """
import signal, sys
from cmb_bidsapp.tools import external
signal.signal(signal.SIGINT, signal.default_int_handler)
external.GRACE = float(sys.argv[2])
try:
    external.run([sys.argv[1]], instead="")
except BaseException as error:
    print(type(error).__name__)
"""


class Pipe:
    """A named pipe that the processes of a program hold open."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path, self.said = path, ""
        self.end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait_for(self, word, times, process):
        while self.said.count(word) < times:
            assert process.poll() is None, self.said
            with contextlib.suppress(BlockingIOError):
                self.said += os.read(self.end, 1000).decode()
            time.sleep(0.02)

    def rest(self):
        """Everything until the last writer is gone."""
        os.set_blocking(self.end, True)
        while text := os.read(self.end, 1000).decode():
            self.said += text
        os.close(self.end)
        return self.said


def start(machine, pipe, *, heed, grace):
    tool = machine.install("tool", STAYS.format(pipe=str(pipe.path), heed=heed))
    us = subprocess.Popen(
        [sys.executable, "-c", US, tool, str(grace)], stdout=subprocess.PIPE, text=True
    )
    pipe.wait_for("started", 2, us)
    return us


@pytest.mark.parametrize(("heed", "grace"), [(GO, 60), (STAY, 1.0)])
@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGTERM, "KeyboardInterrupt\n"),
        (signal.SIGINT, "KeyboardInterrupt\n"),
        (signal.SIGKILL, ""),
    ],
)
def test_nothing_outlives_us(machine, tmp_path, number, ending, heed, grace):
    pipe = Pipe(tmp_path / "pipe")
    us = start(machine, pipe, heed=heed, grace=grace)
    us.send_signal(number)
    assert us.communicate()[0] == ending
    said = pipe.rest()
    assert "survived" not in said
    # Where we can, we ask first.
    assert said.count("asked") == (0 if number == signal.SIGKILL else 2)


def test_a_second_sigterm_does_not_break_off_the_stopping(machine, tmp_path):
    pipe = Pipe(tmp_path / "pipe")
    us = start(machine, pipe, heed=GO_TIDILY, grace=60)
    us.terminate()
    pipe.wait_for("asked", 2, us)
    us.terminate()
    assert us.communicate()[0] == "KeyboardInterrupt\n"
    assert pipe.rest().count("tidied") == 2


def test_what_a_program_leaves_behind_is_stopped_as_well(machine, tmp_path):
    pipe = Pipe(tmp_path / "pipe")
    leaves = (
        "ready, go = os.pipe()\n"
        "if os.fork():\n    os.read(ready, 1)\n    os._exit(0)\n"
        "os.write(go, b'.')"
    )
    script = STAYS.format(pipe=str(pipe.path), heed=GO)
    assert "os.fork()" in script
    machine.install("tool", script.replace("os.fork()", leaves))
    run("tool")
    said = pipe.rest()
    assert "asked" in said
    assert "survived" not in said
