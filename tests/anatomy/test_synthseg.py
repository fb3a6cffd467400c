"""The backend synthseg; mri_synthseg is a stand-in that writes labels."""

import pytest

from cmb_bidsapp.anatomy.reuse import has_lobes, read_parcellation
from tests.anatomy.subjects import LAYOUTS, head, save, write

#: Leaves what the real one leaves and is read here.
SYNTHSEG = """
import shutil
shutil.copyfile({labels!r}, sys.argv[sys.argv.index("--o") + 1])
"""


@pytest.mark.parametrize(("session", "name"), [(None, "sub-01"), ("A", "sub-01_ses-A")])
def test_synthseg_labels_the_head_and_its_image_is_found(
    machine, tmp_path, t1w, backend, obtain, session, name
):
    labels = save(tmp_path / "labels.nii.gz", head(full=False))
    machine.install("mri_synthseg", SYNTHSEG.format(labels=str(labels)))
    write(tmp_path / "given" / LAYOUTS["FreeSurfer"])
    asked = backend("synthseg", tmp_path / "given", license_file=None)
    found, steps = obtain(asked, session)
    assert found.kind == "SynthSeg"
    assert found.dseg == tmp_path / "synthseg" / f"{name}_desc-synthseg_dseg.nii.gz"
    assert steps == ["SynthSeg"]
    (run,) = machine.runs
    assert run.argv[run.argv.index("--i") + 1] == str(t1w)
    assert run.argv[run.argv.index("--threads") + 1] == "2"
    assert "--cpu" in run.argv
    labeled = read_parcellation(found)
    assert labeled.source == "SynthSeg"
    assert has_lobes(labeled.dseg)
    assert obtain(asked, session) == (found, [])
    assert len(machine.runs) == 1
