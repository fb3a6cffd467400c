import dataclasses

from cmb_bidsapp.core.decisions import Decisions


def test_decisions_come_back_from_a_sidecar():
    meant = Decisions(threshold=0.4, cfpr=False, cfpr_mode="reference", phase_rule="reject")
    assert Decisions.written(dataclasses.asdict(meant)) == meant


def test_defaults_stand_for_what_a_sidecar_does_not_name():
    assert Decisions.written({"cfpr_radius": 3.0, "unknown": 1}) == Decisions(cfpr_radius=3.0)
