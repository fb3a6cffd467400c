"""The benchmark that kills the real program, with phases that take no time."""

import sys

import kills


def test_a_run_that_is_killed_and_left_to_finish_is_compared(tiny, tmp_path, monkeypatch, capsys):
    app = tiny("slow1")
    for name, value in app.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kills, "PROGRAM", "tests.faults.tiny")
    words = ["kills.py", str(app.bids), str(tmp_path / "runs"), "--kills", "1", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", words)
    assert kills.main() == 0
    undisturbed, killed, left, compared = capsys.readouterr().out.splitlines()
    assert undisturbed.startswith("undisturbed: exit 0, 3 steps")
    assert "was finished: nothing; repeated: 0; not whole: []" in killed
    assert left.endswith("partial files left: []")
    assert ", 0 differ" in compared


def test_what_differs_but_for_times_is_named(tmp_path):
    took = "<dt>Time</dt><dd>{} s (candidates {})</dd>"
    texts = {
        "one": f"at 2026-01-01T10:00:00Z: 3 {took.format(9, 8)}",
        "other": f"at 2026-02-01: 3 {took.format(7, 6)}",
    }
    for name, text in texts.items():
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / "page.html").write_text(text)
        (tmp_path / name / "logs" / "log").write_text(name)
    one, other = (kills.contents(tmp_path / name) for name in ("one", "other"))
    assert kills.differing(one, other) == []
    (tmp_path / "one" / "page.html").write_text("at 2026-01-01: 4")
    (tmp_path / "one" / "more.tsv").write_text("")
    assert kills.differing(kills.contents(tmp_path / "one"), other) == ["more.tsv", "page.html"]
