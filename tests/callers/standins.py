"""Stand-ins for what a cluster has, and for the app: they remember how they were called."""

import sys
from pathlib import Path

from tests.standins import Machine

#: Runs a batch script at once, its tasks one after another, as Slurm would: a copy, and the
#: options of the command line only. Its jobs are numbered from 100.
SBATCH = """
import re, shutil, subprocess
from pathlib import Path

words = sys.argv[1:]
options = dict(word.lstrip("-").partition("=")[::2] for word in words if word.startswith("--"))
script, *arguments = [word for word in words if not word.startswith("-")]
counter = Path(folder, "jobs")
job = int(counter.read_text()) + 1 if counter.exists() else 100
counter.write_text(str(job))
copy = shutil.copy(script, Path(folder, f"slurm_script_{job}"))
first, last = 0, 0
if "array" in options:
    first, last = map(int, re.fullmatch(r"(\\d+)-(\\d+)(?:%\\d+)?", options["array"]).groups())
for task in range(first, last + 1):
    log = options["output"].replace("%x", "cmb_bidsapp").replace("%A", str(job))
    log = log.replace("%a", str(task)).replace("%j", str(job))
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}
    with open(log, "w") as stream:
        subprocess.run(["bash", copy, *arguments], env=environment, stdout=stream, stderr=stream)
print(f"{job};here" if "parsable" in options else f"Submitted batch job {job}")
"""

#: The app as its callers see it: it has scratch, and fails for participants that are called bad.
APP = """
work = sys.argv[sys.argv.index("--work-dir") + 1]
open(os.path.join(work, "scratch"), "w").close()
sys.exit("bad" in " ".join(sys.argv))
"""

#: Runs what it is asked to run in a container: the stand-in of the app.
APPTAINER = """
image = next(i for i, word in enumerate(sys.argv) if word.endswith(".sif"))
os.execvp("cmb_bidsapp", ["cmb_bidsapp", *sys.argv[image + 1:]])
"""


#: Runs Python as it is asked to do in a container, as Brainlife calls it.
SINGULARITY = f"""
at = sys.argv.index("python3")
os.chdir(sys.argv[sys.argv.index("--pwd") + 1])
for name in [n for n in os.environ if n.startswith("SINGULARITYENV_")]:
    os.environ[name.partition("_")[2]] = os.environ[name]
os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[at + 1:]])
"""


class Cluster:
    """Slurm, Apptainer and the app, or rather their stand-ins, each with the runs it remembers."""

    def __init__(self, folder: Path):
        self.slurm, self.apptainer, self.app = (
            Machine(self._made(folder / name)) for name in ("slurm", "apptainer", "app")
        )
        state = f"folder = {str(folder)!r}\n"
        self.slurm.install("sbatch", state + SBATCH)
        self.apptainer.install("apptainer", APPTAINER)
        self.program = self.app.install("cmb_bidsapp", APP)
        bins = (machine.bin for machine in (self.slurm, self.apptainer, self.app))
        self.path = ":".join([*map(str, bins), "/usr/bin", "/bin"])

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True)
        return folder
