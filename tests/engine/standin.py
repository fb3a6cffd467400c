"""What stands in for the interpreter, and settings to run it with."""

from cmb_bidsapp.settings import Resources, Settings

#: Stands in for the interpreter: what it does follows from the participant label in the job.
CHILD = """\
#!{python} -SE
import json, os, signal, sys, time
job = sys.stdin.buffer.read()
label = next(word for word in {words} if b"is" + word in job).decode()

def mark(what):
    with open({marks!r}, "a") as stream:
        stream.write(what + "\\n")

def say(**event):
    print(json.dumps(event), flush=True)

mark("start " + label)
if b"follow-up" in job:
    mark("follow-up")
if label == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if label == "segv":
    os.kill(os.getpid(), signal.SIGSEGV)
if label == "torn":
    sys.stdout.write('{{"event": "st')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
if label == "noise":
    print("a library says hello", flush=True)
if label == "fail":
    say(event="failed", code=65, message="bad data")
    sys.exit(65)
if label == "status":
    sys.exit(3)
if label == "silent":
    sys.exit(0)
if label == "env":
    say(event="failed", code=70, message=os.environ["OMP_NUM_THREADS"])
    sys.exit(70)
if label == "slow":
    say(event="step", text="sleeping")
    time.sleep(3)
if label == "stuck":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(event="step", text="waiting")
    time.sleep(600)
say(event="step", text="working")
sys.stderr.write("a library complains")
say(event="done", ran=["prepare"])
mark("end " + label)
"""

WORDS = (
    b"good",
    b"kill",
    b"segv",
    b"torn",
    b"noise",
    b"fail",
    b"status",
    b"silent",
    b"env",
    b"slow",
    b"stuck",
)


def settings_of(folder, processes, *, threads=3, **options):
    return Settings(
        bids_dir=folder,
        out_dir=folder / "out",
        levels=("participant",),
        resources=Resources(cores=6, processes=processes, threads=threads),
        **options,
    )
