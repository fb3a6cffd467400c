"""What is copied out of FreeSurfer's image, and what the list of it may hold."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "container"
LINES = (CONTAINER / "freesurfer.txt").read_text().splitlines()
PATHS = [line for line in LINES if line and line[0] not in "#!"]

#: Programs whose version recon-all 7.4.1 asks for at its start; it stops where one is missing.
ASKED = re.findall(
    r"\S+",
    """
lta_convert mri_and mri_annotation2label mri_aparc2aseg mri_surf2volseg mri_binarize mri_ca_label
mri_ca_normalize mri_ca_register mri_cc mri_compute_overlap mri_compute_seg_overlap mri_concat
mri_concatenate_lta mri_convert mri_diff mri_edit_wm_with_aseg mri_em_register mri_fill
mri_fuse_segmentations mri_fwhm mri_gcut mri_info mri_label2label mri_label2vol mri_log_likelihood
mri_mask mri_matrix_multiply mri_normalize mri_normalize_tp2 mri_or mri_relabel_hypointensities
mri_relabel_nonwm_hypos mri_remove_neck mri_robust_register mri_robust_template
mris_anatomical_stats mris_ca_label mris_calc mris_convert mris_curvature mris_curvature_stats
mris_diff mris_divide_parcellation mri_segment mri_segstats mris_euler_number mris_fix_topology
mris_topo_fixer mris_jacobian mris_label2annot mris_left_right_register mris_place_surface
mrisp_paint mris_register mris_smooth mris_sphere mris_surface_stats mri_stats2seg mris_thickness
mris_thickness_diff mri_surf2surf mri_surf2vol mri_surfcluster mris_volmask mri_tessellate
mri_vol2surf mri_vol2vol mri_voldiff mri_watershed tkregister2_cmdl
""",
)


def select(folder: Path, lines: str) -> subprocess.CompletedProcess:
    """Copy from ``folder/from`` to ``folder/to`` what ``lines`` name."""
    (folder / "list").write_text(lines)
    argv = ["sh", str(CONTAINER / "select.sh"), "list", "from", "to"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


@pytest.fixture
def tree(tmp_path):
    for name in ("bin/a", "bin/b", "lib/x/one", "lib/x/tests/two", "lib/y", "data"):
        path = tmp_path / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_only_what_is_named_is_copied(tree):
    done = select(tree, "# programs\nbin/a\n\nlib/\n!lib/*/tests\n")
    assert done.returncode == 0
    assert files(tree / "to") == {"bin/a", "lib/x/one", "lib/y"}


def test_all_that_is_missing_is_named_and_nothing_copied(tree):
    done = select(tree, "bin/a\nbin/gone\nlib/\nmodels/gone.h5\n")
    assert done.returncode != 0
    assert "bin/gone" in done.stderr
    assert "models/gone.h5" in done.stderr
    assert "2 paths are missing" in done.stderr
    assert not (tree / "to").exists()


def test_a_link_to_what_is_not_copied_is_an_error(tree):
    (tree / "from" / "bin" / "link").symlink_to("b")
    done = select(tree, "bin/link\n")
    assert done.returncode != 0
    assert "bin/link" in done.stderr


def test_everybody_can_read_what_is_copied(tree):
    program = tree / "from" / "bin" / "a"
    program.chmod(0o700)
    assert select(tree, "bin/a\n").returncode == 0
    assert stat.S_IMODE((tree / "to" / "bin" / "a").stat().st_mode) == 0o755


def test_freesurfers_list_has_every_path_once_and_none_of_a_part_it_leaves_out():
    assert len(set(PATHS)) == len(PATHS)
    assert [path for path in PATHS if path.startswith(("/", "."))] == []
    aside = ("freeview", "fsfast", "matlab", "trctrain", "subjects/bert", "average/samseg", "mni/")
    assert [path for path in PATHS if any(word in path for word in aside)] == []


def test_freesurfers_list_has_what_recon_all_asks_for_at_its_start():
    assert [name for name in ASKED if f"bin/{name}" not in PATHS] == []


def test_freesurfers_list_has_what_is_read_for_both_hemispheres():
    other = {path: re.sub(r"\blh\.", "rh.", path) for path in PATHS if re.search(r"\blh\.", path)}
    assert [path for path in other.values() if path not in PATHS] == []
    assert len(other) == len([path for path in PATHS if re.search(r"\brh\.", path)])
