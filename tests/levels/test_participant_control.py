"""Options of how a run goes: its repetition, reports alone, what it tells."""

from cmb_bidsapp.bids.derivatives import SessionFiles
from cmb_bidsapp.cli import main
from cmb_bidsapp.engine.children import Outcome
from cmb_bidsapp.settings import Settings
from tests.skeletons import fake_outcomes, result_of


def test_a_run_is_repeated_from_its_toml(bids, tmp_path, monkeypatch, capsys):
    fake_outcomes(monkeypatch, {"01": 0, "03": 0})
    out = tmp_path / "out"
    words = ["--participant-label", "03", "--cfpr-radius", "3", "--random-seed", "4"]
    assert main([str(bids), str(out), "participant", *words]) == 0
    (first,) = (out / "logs").glob("*/cmb_bidsapp.toml")
    assert main(["--config-file", str(first)]) == 0
    assert result_of(capsys.readouterr().out) == (1, 0, 0, 0)
    (again,) = set((out / "logs").glob("*/cmb_bidsapp.toml")) - {first}
    assert Settings.from_toml(again.read_text()).decisions.cfpr_radius == 3
    assert Settings.from_toml(again.read_text()).seed == 4


def test_reports_only_runs_nothing_and_names_what_has_no_results(
    bids, tmp_path, monkeypatch, capsys
):
    fake_outcomes(monkeypatch, {})
    written = []
    monkeypatch.setattr(
        "cmb_bidsapp.levels.participant.write_participant_report",
        lambda _, label, sessions: written.append((label, [one.error for one in sessions])),
    )
    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", None)
    out = tmp_path / "out"
    table = SessionFiles(out, "01", None).lesions
    table.parent.mkdir(parents=True)
    table.touch()
    assert main([str(bids), str(out), "participant", "--reports-only"]) == 1
    printed = capsys.readouterr().out
    assert written == [("01", [""])]
    assert "sub-03: no results yet" in printed
    assert result_of(printed) == (1, 1, 1, 1)
    assert not (out / "logs").exists()


def test_reports_only_still_says_why_a_session_failed(bids, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    fake_outcomes(monkeypatch, {"01": 70, "03": 65})
    assert main([str(bids), str(out), "participant"]) == 1
    capsys.readouterr()
    assert main([str(bids), str(out), "participant", "--reports-only"]) == 66
    assert "sub-03: why\n" in capsys.readouterr().out


def test_verbosity_shows_the_choice_and_what_libraries_print(bids, tmp_path, monkeypatch, capsys):
    def run_sessions(sessions, settings, logs, *_):
        for session in sessions:
            (logs / f"{session.label}.log").write_text("a library said something\n")
            yield Outcome(session=session)

    fake_outcomes(monkeypatch, {})
    monkeypatch.setattr("cmb_bidsapp.levels.participant.run_sessions", run_sessions)
    chosen = f"T2*w  {bids / 'sub-01' / 'anat' / 'sub-01_T2starw.nii.gz'}"
    for options, shown in (([], (0, 0)), (["-v"], (1, 0)), (["-vv"], (1, 2))):
        main([str(bids), str(tmp_path / "out"), "participant", *options])
        printed = capsys.readouterr().out
        assert (printed.count(chosen), printed.count("a library said something")) == shown


def test_what_has_no_effect_is_told_and_so_are_the_resources(bids, tmp_path, capsys):
    words = [str(bids), str(tmp_path / "out"), "participant", "--dry-run", "--nprocs", "1"]
    main([*words, "--use-plugin", "x.yml"])
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("--use-plugin has no effect: ")
    assert second.startswith(
        "up to 1 session at a time on 1 core, device cpu (cores: --nprocs; memory: "
    )
