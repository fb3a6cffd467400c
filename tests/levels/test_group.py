"""``cmb_bidsapp ... group``: what it prints, writes and ends with."""

import pytest

from cmb_bidsapp.bids.stamps import Stamp, write_stamp
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from tests.group import readers
from tests.group.sessions import GRE, write_session, write_status
from tests.skeletons import result_of


@pytest.fixture
def run(tmp_path, capsys):
    """Run the group level on ``out``; gives its exit code, the numbers it ends with, its lines."""

    def command(*options):
        arguments = [str(tmp_path / "absent"), str(tmp_path / "out"), "group", *map(str, options)]
        code = main(arguments)
        lines = capsys.readouterr().out.splitlines()
        return code, result_of(lines[-1]), lines

    return command


def test_all_is_well(run, tmp_path):
    write_session(tmp_path / "out", "01", None, 2, GRE)
    code, counts, lines = run()
    assert (code, counts) == (0, (1, 0, 0, 0))
    told = [line.removeprefix("group: ") for line in lines if line.startswith("group: ")]
    begun, files, page = told
    assert begun == f"reading the results in {tmp_path / 'out'}"
    written = {path.name for path in (tmp_path / "out").glob("group*") if path.suffix != ".json"}
    assert {*files.split(", "), "group.html"} == written
    assert page == f"report written to {tmp_path / 'out' / 'group.html'}"


def test_what_is_left_out_is_printed_counted_and_makes_the_exit_code(run, tmp_path):
    out = tmp_path / "out"
    write_session(out, "01", None, 2, GRE)
    write_session(out, "02", None, 2, GRE).lesions.write_bytes(b"\xff")
    (out / "sub-03").mkdir()
    write_status(out, ("sub-04", None, "session", "failed", "out of memory"))
    code, counts, lines = run()
    assert (code, counts) == (1, (1, 3, 0, 1))
    told = [line for line in lines if line.startswith("left out: ")]
    assert len(told) == 3
    assert "sub-04: session failed in the last run: out of memory" in told[2]
    table = read_table(out / "group_problems.tsv")
    assert [row["participant_id"] for row in table] == ["sub-02", "sub-03", "sub-04"]


@pytest.mark.parametrize("lacking", [(), ("prepare",), ("prepare", "decide")])
def test_results_without_stamps_are_taken_and_told_of_in_one_note(run, tmp_path, lacking):
    for label in ("01", "02"):
        files = write_session(tmp_path / "out", label, None, 2, GRE)
        for phase in {"prepare", "decide"} - {*lacking}:
            write_stamp(files.stamp(phase), Stamp("key", {}, {}))
    code, counts, lines = run()
    assert (code, counts) == (0, (2, 0, 0, 0))
    told = [line for line in lines if "could not be checked" in line]
    assert [line.split()[1] for line in told] == (["2"] if lacking else [])


def test_without_an_output_folder_there_is_nothing_to_collect(run, tmp_path, capsys):
    code, _, _ = run()
    assert code == 66
    assert not (tmp_path / "out").exists()


def test_ratings_go_into_the_tables(run, tmp_path):
    out, folder = tmp_path / "out", tmp_path / "ratings"
    readers.write_session(out, "01")
    said = [readers.rating(str(number), "not-cmb") for number in (1, 2, 3)]
    readers.write_ratings(folder, *said)
    code, counts, lines = run("--ratings", folder)
    assert (code, counts) == (0, (1, 0, 0, 0))
    (row,) = read_table(out / "group_summary.tsv")
    assert (row["count"], row["source"]) == ("0", "reader AB")
    assert any("group_agreement.tsv" in line for line in lines)


def test_agreement_of_an_earlier_run_does_not_stay(run, tmp_path):
    out = tmp_path / "out"
    readers.write_session(out, "01")
    readers.write_ratings(tmp_path / "ratings", readers.rating("1", "definite"))
    run("--ratings", tmp_path / "ratings")
    run()
    assert list(out.glob("group_agreement.*")) == []


def test_the_limit_of_the_summary_is_that_of_the_command_line(run, tmp_path):
    out = tmp_path / "out"
    write_session(out, "01", None, 3, GRE)
    run("--baseline-limit", 2)
    (row,) = read_table(out / "group_summary.tsv")
    assert (row["baseline_limit"], row["above_limit"]) == ("2", "true")
