"""The program from its command line to its last line and exit code."""

import json
import shutil

import pytest

from cmb_bidsapp.bids.dataset import prepare_dataset
from cmb_bidsapp.bids.tables import read_table
from cmb_bidsapp.cli import main
from cmb_bidsapp.core.defaults import LESION_MODEL
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.models.registry import PACKAGED
from tests.skeletons import build_dataset, fake_outcomes, result_of, tree, write_head


def test_dry_run_shows_what_is_chosen_and_rejected_and_writes_nothing(bids, tmp_path, capsys):
    before = tree(tmp_path)
    out = tmp_path / "out"
    assert main([str(bids), str(out), "participant", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    anat = bids / "sub-01" / "anat"
    assert f"T2*w  {anat / 'sub-01_T2starw.nii.gz'}" in printed
    assert f"T1w   {anat / 'sub-01_T1w.nii.gz'}" in printed
    assert f"phase {anat / 'sub-01_part-phase_T2starw.nii.gz'}" in printed
    assert str(bids / "sub-03" / "anat" / "sub-03_swi.nii.gz") in printed
    assert "T1w   none" in printed
    assert "sub-02: skipped, no T2*w" in printed
    assert result_of(printed) == (0, 0, 1, 0)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(("chosen", "number"), [(["01"], 1), (["01", "03"], 2)])
def test_the_line_that_scripts_read_has_one_form(bids, tmp_path, capsys, chosen, number):
    options = ["--dry-run", "--participant-label", *chosen]
    assert main([str(bids), str(tmp_path / "out"), "participant", *options]) == 0
    assert f"\n{number} sessions to process, 0 without a T2*w\n" in capsys.readouterr().out


def test_dry_run_of_both_levels_leaves_the_group_alone(bids, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(bids), str(out), "participant", "group", "--dry-run"]) == 0
    assert not out.exists()
    assert result_of(capsys.readouterr().out) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("files", "options", "code"),
    [
        ({"sub-01_T1w": {}}, [], 66),
        ({"sub-01_T2starw": {}}, ["--participant-label", "99"], 66),
        ({"sub-01_T2starw": {}}, ["--exclude-participant-label", "01"], 66),
        ({}, [], 66),
    ],
)
def test_nothing_to_process_is_code_66(tmp_path, capsys, files, options, code):
    root = build_dataset(tmp_path / "bids", files)
    assert main([str(root), str(tmp_path / "out"), "participant", *options]) == code
    captured = capsys.readouterr()
    assert result_of(captured.out) == (0, 0, 0, code)
    assert captured.err.startswith("cmb_bidsapp: ")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("others", "result"), [({}, (0, 2, 0, 65)), ({"sub-01_T2starw": {}}, (0, 2, 0, 1))]
)
def test_a_dry_run_foresees_what_fails_for_its_name_or_label(tmp_path, capsys, others, result):
    root = build_dataset(tmp_path / "bids", others)
    write_head(root / "sub-02" / "anat" / "sub-09_T2starw.nii.gz")
    write_head(root / "sub-a-b" / "anat" / "sub-a-b_T2starw.nii.gz")
    assert main([str(root), str(tmp_path / "out"), "participant", "--dry-run"]) == result[3]
    printed = capsys.readouterr().out
    assert "its name says sub-09, its folders say sub-02" in printed
    assert 'sub-a-b: failed, "a-b" is no BIDS label' in printed
    assert result_of(printed) == result


def test_what_fails_for_its_name_or_label_is_in_the_status_and_others_run(
    tmp_path, capsys, monkeypatch
):
    root = build_dataset(tmp_path / "bids", {"sub-01_T2starw": {}})
    write_head(root / "sub-a-b" / "anat" / "sub-a-b_T2starw.nii.gz")
    fake_outcomes(monkeypatch, {"01": 0})
    out = tmp_path / "out"
    assert main([str(root), str(out), "participant"]) == 1
    assert result_of(capsys.readouterr().out) == (1, 1, 0, 1)
    assert status_of(out) == {"sub-01": "ok", "sub-a-b": "failed"}
    (row,) = [r for r in read_table(out / "logs" / "status.tsv") if r["status"] == "failed"]
    assert row["exit_code"] == "65"


def test_a_session_that_cannot_be_used_ends_with_its_cause(tmp_path, capsys):
    root = build_dataset(tmp_path / "bids", {})
    write_head(root / "sub-02" / "anat" / "sub-09_T2starw.nii.gz")
    out = tmp_path / "out"
    assert main([str(root), str(out), "participant", "--nprocs", "1"]) == 65
    assert result_of(capsys.readouterr().out) == (0, 1, 0, 65)
    (row,) = read_table(out / "logs" / "status.tsv")
    assert (row["participant_id"], row["exit_code"]) == ("sub-02", "65")
    assert "its name says sub-09" in row["message"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_description.json", b"[]"),
        ("dataset_description.json", b'{"GeneratedBy": "me"}'),
        ("dataset_description.json", b'{"DatasetLinks": []}'),
        (".bidsignore", b"\xff\xfe\x00"),
    ],
)
def test_an_output_folder_with_a_damaged_file_is_named(bids, tmp_path, capsys, name, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(content)
    assert main([str(bids), str(out), "participant"]) == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert str(out / name) in line
    assert (out / name).read_bytes() == content


def test_what_others_wrote_into_the_description_of_the_outputs_stays(tmp_path):
    others = {"GeneratedBy": ["me", {"Name": "other"}, {"Name": "cmb_bidsapp", "Version": "0"}]}
    (tmp_path / "dataset_description.json").write_text(json.dumps(others))
    prepare_dataset(tmp_path, tmp_path)
    (own, *rest) = json.loads((tmp_path / "dataset_description.json").read_text())["GeneratedBy"]
    assert own["Name"] == "cmb_bidsapp"
    assert rest == others["GeneratedBy"][:2]


def test_a_dataset_of_derivatives_is_told(bids, tmp_path, capsys):
    path = bids / "dataset_description.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "DatasetType": "derivative"}))
    assert main([str(bids), str(tmp_path / "out"), "participant", "--dry-run"]) == 0
    assert "describes derivatives" in " ".join(capsys.readouterr().out.split())


def test_an_atlas_that_is_none_is_code_65_before_anything_is_done(bids, tmp_path, capsys):
    atlas = tmp_path / "atlas.nii.gz"
    atlas.write_text("no image")
    words = [str(bids), str(tmp_path / "out"), "participant", "--jhu-atlas", str(atlas)]
    assert main(words) == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{atlas} cannot be read" in line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_dataset_is_code_65(tmp_path, capsys):
    (tmp_path / "bids").mkdir()
    assert main([str(tmp_path / "bids"), str(tmp_path / "out"), "participant"]) == 65
    assert "dataset_description.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("codes", "result"),
    [
        ({"01": 0, "03": 0}, (2, 0, 1, 0)),
        ({"01": 0, "03": 65}, (1, 1, 1, 1)),
        ({"01": 65, "03": 65}, (0, 2, 1, 65)),
        ({"01": 65, "03": 75}, (0, 2, 1, 1)),
    ],
)
def test_the_exit_code_tells_how_sessions_ended(bids, tmp_path, capsys, monkeypatch, codes, result):
    fake_outcomes(monkeypatch, codes)
    out = tmp_path / "out"
    assert main([str(bids), str(out), "participant"]) == result[3]
    assert result_of(capsys.readouterr().out) == result
    status = json.loads((out / "logs" / "status.json").read_text())
    rows = {row["participant_id"]: row["status"] for row in status["sessions"]}
    words = {0: "ok"}
    assert rows == {
        "sub-01": words.get(codes["01"], "failed"),
        "sub-02": "skipped",
        "sub-03": words.get(codes["03"], "failed"),
    }
    assert sum(status["counts"].values()) == 3


def test_sensitivity_is_measured_of_finished_sessions_where_it_is_asked_for(
    bids, tmp_path, capsys, monkeypatch
):
    stages = []

    def run_sessions(sessions, settings, logs, event, stage):
        for session in sessions:
            stages.append((stage, session.participant))
            failed = session.participant == "03" or stage == "sensitivity"
            yield Outcome(session=session, code=65 if failed else 0, message="why")

    fake_outcomes(monkeypatch, {})
    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", run_sessions)
    command = [str(bids), str(tmp_path / "out"), "participant"]
    assert main([*command, "--sensitivity", "2"]) == 1
    # A measurement that failed leaves its session as it is.
    assert result_of(capsys.readouterr().out) == (1, 2, 1, 1)
    assert stages == [("session", "01"), ("session", "03"), ("sensitivity", "01")]
    stages.clear()
    main(command)
    assert stages == [("session", "01"), ("session", "03")]


def status_of(out):
    status = json.loads((out / "logs" / "status.json").read_text())
    return {row["participant_id"]: row["status"] for row in status["sessions"]}


def test_the_status_of_sessions_of_other_runs_stays(bids, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def statuses(*labels, codes):
        fake_outcomes(monkeypatch, codes)
        main([str(bids), str(out), "participant", "--participant-label", *labels])
        return status_of(out)

    assert statuses("01", "02", codes={"01": 65}) == {"sub-01": "failed", "sub-02": "skipped"}
    everyone = {"sub-01": "failed", "sub-02": "skipped", "sub-03": "ok"}
    assert statuses("03", codes={"03": 0}) == everyone
    assert statuses("01", codes={"01": 0}) == everyone | {"sub-01": "ok"}


def messages_of(out):
    return {row["participant_id"]: row["message"] for row in read_table(out / "logs/status.tsv")}


def test_the_status_tells_of_each_session_what_is_true_while_others_run(
    bids, tmp_path, monkeypatch
):
    fake_outcomes(monkeypatch, {})
    out = tmp_path / "out"
    seen = []

    def one_by_one(sessions, _settings, _logs, on_event, _stage):
        for session in sessions:
            seen.append(messages_of(out))
            on_event(session, "begin", "")
            seen.append(messages_of(out))
            yield Outcome(session=session, code=65, message="damaged")

    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", one_by_one)
    assert main([str(bids), str(out), "participant"]) == 65
    before, first, between, second = (
        {label: message.partition(":")[0] for label, message in one.items()} for one in seen
    )
    assert {one.pop("sub-02") for one in (before, first, between, second)} == {"no T2*w image"}
    assert before == {"sub-01": "not started", "sub-03": "not started"}
    assert first == {"sub-01": "started but not finished", "sub-03": "not started"}
    assert between == {"sub-01": "damaged", "sub-03": "not started"}
    assert second == {"sub-01": "damaged", "sub-03": "started but not finished"}


def test_who_waits_keeps_what_is_known_of_an_earlier_run(bids, tmp_path, monkeypatch):
    fake_outcomes(monkeypatch, {"01": 0, "03": 0})
    arguments = [str(bids), str(tmp_path / "out"), "participant", "--force"]
    assert main(arguments) == 0

    def broken_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", broken_off)
    assert main(arguments) == 130
    assert status_of(tmp_path / "out") == {"sub-01": "ok", "sub-02": "skipped", "sub-03": "ok"}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left", "out"), 75, "no space left on the disk of out"),
    ],
)
def test_a_run_that_breaks_off_counts_what_it_leaves_and_no_other_level_follows(
    bids, tmp_path, monkeypatch, capsys, error, code, message
):
    fake_outcomes(monkeypatch, {})
    out = tmp_path / "out"

    def breaks_off(sessions, _settings, _logs, on_event, _stage):
        on_event(sessions[0], "begin", "")
        yield Outcome(session=sessions[0])
        on_event(sessions[1], "begin", "")
        raise error

    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", breaks_off)
    assert main([str(bids), str(out), "participant", "group"]) == code
    captured = capsys.readouterr()
    assert result_of(captured.out) == (1, 1, 1, code)
    assert message in captured.err
    assert status_of(out) == {"sub-01": "ok", "sub-02": "skipped", "sub-03": "failed"}
    assert messages_of(out)["sub-03"] == message
    assert not (out / "group.html").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left", "out"), ValueError("no table")])
def test_a_participant_without_report_has_failed_and_the_others_go_on(
    bids, tmp_path, monkeypatch, capsys, error
):
    fake_outcomes(monkeypatch, {"01": 0, "03": 0})

    def keep_report(_settings, participant, _sessions):
        if participant == "01":
            raise error

    monkeypatch.setattr("cmb_bidsapp.levels.participant.keep_report", keep_report)
    out = tmp_path / "out"
    assert main([str(bids), str(out), "participant"]) == 1
    assert result_of(capsys.readouterr().out) == (1, 1, 1, 1)
    assert status_of(out) == {"sub-01": "failed", "sub-02": "skipped", "sub-03": "ok"}
    assert messages_of(out)["sub-01"].startswith("no report: ")


def test_a_row_that_cannot_be_written_is_a_failure(bids, tmp_path, monkeypatch, capsys):
    fake_outcomes(monkeypatch, {"01": 0, "03": 0})
    from cmb_bidsapp.levels.ledger import write_status

    def full(out_dir, rows, **options):
        if any(row["status"] == "ok" and row["participant_id"] == "sub-01" for row in rows):
            raise OSError(28, "No space left", "status.tsv")
        write_status(out_dir, rows, **options)

    monkeypatch.setattr("cmb_bidsapp.levels.ledger.write_status", full)
    assert main([str(bids), str(tmp_path / "out"), "participant"]) == 1
    captured = capsys.readouterr().out
    assert result_of(captured) == (1, 1, 1, 1)
    assert "no space left on the disk of status.tsv" in captured


@pytest.mark.parametrize(
    "options", [["--model", "absent"], ["--model", "anatomy"], ["--folds", "0"]]
)
def test_a_model_that_cannot_be_used_is_code_78_before_anything_is_done(
    bids, tmp_path, capsys, options
):
    assert main([str(bids), str(tmp_path / "out"), "participant", *options]) == 78
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert result_of(captured.out) == (0, 0, 0, 78)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [LESION_MODEL, "anatomy"])
def test_a_damaged_model_is_code_78_before_anything_is_done(
    bids, tmp_path, capsys, monkeypatch, name
):
    models = tmp_path / "models"
    for one in (LESION_MODEL, "anatomy"):
        shutil.copytree(PACKAGED / one, models / one)
    monkeypatch.setattr("cmb_bidsapp.models.registry.PACKAGED", models)
    weights = models / name / "weights.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    for options in ([], ["--dry-run"]):
        assert main([str(bids), str(tmp_path / "out"), "participant", *options]) == 78
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{weights} is damaged" in line
    assert not (tmp_path / "out").exists()


def test_a_run_writes_its_settings_and_nothing_into_the_dataset(bids, tmp_path, monkeypatch):
    fake_outcomes(monkeypatch, {"01": 0, "03": 0})
    before = tree(bids)
    assert main([str(bids), str(tmp_path / "out"), "participant", "--random-seed", "4"]) == 0
    (toml,) = (tmp_path / "out" / "logs").glob("*/cmb_bidsapp.toml")
    assert "seed = 4" in toml.read_text().splitlines()
    assert tree(bids) == before


def test_an_unexpected_error_is_one_line_unless_debugging(bids, tmp_path, monkeypatch, capsys):
    def broken(_):
        raise RuntimeError("not\nforeseen")

    monkeypatch.setattr("cmb_bidsapp.levels.run.run_levels", broken)
    arguments = [str(bids), str(tmp_path / "out"), "participant"]
    assert main(arguments) == 70
    captured = capsys.readouterr()
    assert captured.err == "cmb_bidsapp: RuntimeError: not foreseen\n"
    assert result_of(captured.out) == (0, 0, 0, 70)
    with pytest.raises(RuntimeError):
        main([*arguments, "--debug"])


def test_an_interrupt_is_code_130(bids, tmp_path, monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cmb_bidsapp.levels.run.run_levels", interrupted)
    assert main([str(bids), str(tmp_path / "out"), "participant", "--debug"]) == 130
    assert result_of(capsys.readouterr().out) == (0, 0, 0, 130)
