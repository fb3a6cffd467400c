"""The options of the BIDS-App signature: what every one of them has."""

import re

import pytest

from cmb_bidsapp.options.parser import LEVELS, POSITIONALS, build_parser
from cmb_bidsapp.options.request import AppRequest
from cmb_bidsapp.options.running import WITHOUT_EFFECT

ACTIONS = [one for one in build_parser()._actions if one.dest not in ("help", "version")]
NAMES = {action.dest for action in ACTIONS}
WORDS = ["in", "out", "participant"]


def test_every_option_is_a_field_of_the_request():
    # Filters come from a file; they have no option of their own.
    assert set(AppRequest.__dataclass_fields__) - NAMES == {"filters"}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.dest)
def test_every_option_says_what_it_is_for(action):
    assert action.help
    assert not re.search(r"\b(TODO|FIXME)\b|[^%]%[^(]", action.help)


@pytest.mark.parametrize("words", [["in", "out", level] for level in LEVELS])
def test_the_signature_is_that_of_bids_apps(words):
    given = build_parser().parse_args(words)
    assert [str(given.bids_dir), str(given.output_dir), *given.level] == words
    assert set(POSITIONALS) <= set(vars(given))


def test_no_option_may_be_cut_short():
    with pytest.raises(Exception, match="unrecognized arguments: --rand"):
        build_parser().parse_args([*WORDS, "--rand", "3"])


#: What people type in other apps of the family, and the option that it is here.
SPELLINGS = {
    "participant_label": ("--participant-label", "--participant_label"),
    "session_label": ("--session-label", "--session-id"),
    "run_id": ("--run-id",),
    "acq_id": ("--acq-id",),
    "nprocs": (
        *("--nprocs", "--n-procs", "--n_procs", "--nthreads"),
        *("--n_cpus", "--n-cpus", "-n-cpus", "--ncpus"),
    ),
    "mem": ("--mem", "--mem_mb", "--mem-mb"),
    "derivatives": ("-d", "--derivatives"),
    "work_dir": ("-w", "--work-dir"),
    "verbose": ("-v", "--verbose"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_options_have_the_spellings_that_people_type(name):
    (action,) = (action for action in ACTIONS if action.dest == name)
    assert set(action.option_strings) == set(SPELLINGS[name])


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_is_accepted_without_effect_says_so_in_the_help(name):
    (action,) = (action for action in ACTIONS if action.dest == name)
    assert action.help.startswith("no effect, accepted for compatibility: ")
    assert set(action.option_strings) == set(WITHOUT_EFFECT[name][0])


def test_the_mirrored_image_and_cfpr_can_be_switched_off():
    given = build_parser().parse_args([*WORDS, "--no-tta", "--no-cfpr"])
    assert (given.tta, given.cfpr) == (False, False)
    assert build_parser().parse_args(WORDS).tta
