"""A small made-up head, scanned once per variant."""

import numpy as np

from cmb_bidsapp.simulate.case import simulate_case
from cmb_bidsapp.simulate.person import Person
from cmb_bidsapp.simulate.protocols import PROTOCOLS
from cmb_bidsapp.simulate.sites import Sites
from cmb_bidsapp.simulate.sources import choose_microbleeds, choose_mimics
from tests.simulate.heads import HEAD

PROTOCOL = PROTOCOLS["gre3t3mm"]

SITES = Sites(HEAD)

CENTER = np.argwhere(HEAD.brain).mean(axis=0)


def case_of(seed=0, count=6, veins=5, microbleeds=None):
    rng = np.random.default_rng(seed)
    microbleeds = microbleeds or choose_microbleeds(SITES, count, rng)
    person = Person.of(HEAD, microbleeds, choose_mimics(SITES, rng, veins))
    return simulate_case(person, PROTOCOL, rng)
