"""Protocols by name, and written out."""

import pytest

from cmb_bidsapp.simulate.protocols import PROTOCOLS, ScanProtocol, read_protocol


def test_protocols_go_by_their_name():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert read_protocol(name) is protocol
    assert PROTOCOLS["paper"].voxel == (0.4286, 0.4286, 6.5)


def test_any_protocol_can_be_written_out():
    protocol = read_protocol("b0=1.5,te=40,voxel=0.5x0.6x4,gap=0.4,snr=18,name=mine")
    assert protocol == ScanProtocol(
        name="mine", b0=1.5, te_ms=40, voxel=(0.5, 0.6, 4.4), snr=18, gap=0.4
    )
    assert protocol.thickness == pytest.approx(4.0)
    assert read_protocol("b0=3,te=20,voxel=1x1x2").gap == 0


@pytest.mark.parametrize(
    "text",
    [
        "unheard-of",
        "b0=3,te=20",
        "b0=3,te=20,voxel=1x1",
        "b0=3,te=20,voxel=1x1xthick",
        "b0=-3,te=20,voxel=1x1x2",
        "b0=3,te=20,voxel=1x1x2,gap=-1",
        "b0=3,te=20,voxel=1x1x2,color=red",
    ],
)
def test_what_is_no_protocol_is_named_with_what_is_expected(text):
    with pytest.raises(ValueError, match=rf"^{text}: one of paper, .*b0=T,te=MS,voxel=XxYxZ"):
        read_protocol(text)
