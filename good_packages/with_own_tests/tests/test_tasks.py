"""Tests of the tasks as Fractal runs them: the installed wheel, one process a run."""

from pathlib import Path


def test_the_wheel_holds_every_task(fractal_package):
    assert Path(fractal_package.wheel).suffix == ".whl"
    assert fractal_package.manifest["manifest_version"] == "1"
    assert [task.name for task in fractal_package.tasks] == ["Make wells", "Invert well"]


def test_a_task_refuses_empty_arguments(fractal_task, run_fractal_task):
    """Runs once for each task of the manifest."""
    assert run_fractal_task(fractal_task, {"no such argument": 1}).returncode != 0


def test_wells_are_made(run_fractal_task, tmp_path):
    run = run_fractal_task("Make wells", {"number": 2}, output_path=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert run.metadata == {"well": ["well_0", "well_1"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["well_0", "well_1"]


def test_a_plate_without_wells_is_refused(run_fractal_task):
    run = run_fractal_task("make_wells", {"number": 0})
    assert run.returncode != 0
    assert "at least one well" in run.stderr


def test_a_well_is_inverted(run_fractal_task, tmp_path):
    run = run_fractal_task(
        "Invert well", {"maximum": 1}, output_path=str(tmp_path), component="well_7"
    )
    assert run.returncode == 0, run.stderr
    assert run.metadata is None
    assert (tmp_path / "well_7" / "inverted.txt").read_text() == "1"
