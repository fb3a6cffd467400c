"""MR properties of tissues, against what is known of the brain."""

from cmb_bidsapp.core.labels import STRUCTURES
from cmb_bidsapp.simulate.tissues import IRON_RICH, TISSUES


def test_every_structure_of_a_head_has_a_tissue():
    assert set(STRUCTURES) <= set(TISSUES)


def test_csf_is_fluid_and_brain_is_not():
    fluids = {name for name, tissue in TISSUES.items() if tissue.is_fluid}
    assert fluids == {"lateral-ventricle", "third-ventricle", "fourth-ventricle", "csf"}


def test_iron_makes_nuclei_darker_and_more_paramagnetic_than_cortex():
    cortex = TISSUES["cerebral-cortex"]
    for name in IRON_RICH:
        assert TISSUES[name].t2star_ms < cortex.t2star_ms, name
        assert TISSUES[name].chi > cortex.chi, name
    # Myelin is diamagnetic against gray matter.
    assert TISSUES["cerebral-wm"].chi < cortex.chi
