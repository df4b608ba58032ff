"""The plugin costs nothing where it is not used: pytest loads it in every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from wheel_factory import make_wheel

HEAVY = {
    "build",
    "configupdater",
    "filelock",
    "jsonschema",
    "packaging",
    "pydantic",
    "referencing",
    "tomlkit",
    "uv",
    "virtualenv",
}

PROBE = """
import json, sys
import pytest
status = pytest.main([*sys.argv[1:], "-q", "-p", "no:cacheprovider", "test_it.py"])
print(json.dumps([int(status), sorted(sys.modules)]))
"""


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The modules that a pytest run of one empty test has loaded in the end."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text("def test_it(): pass\n")
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(ran.stdout.splitlines()[-1])
    assert status == 0
    return set(modules)


def test_an_unused_plugin_loads_a_few_small_modules(tmp_path: Path) -> None:
    """Beyond what pytest itself loads, which is some of packaging."""
    with_plugin = loaded(tmp_path, "-p", "pytest_fractal.plugin")
    added = with_plugin - loaded(tmp_path)
    assert {name for name in added if name.partition(".")[0] in HEAVY} == set()
    assert {name for name in added if name.startswith("pytest_fractal")} == {
        "pytest_fractal",
        "pytest_fractal.errors",
        "pytest_fractal.pytest_plugin",
        "pytest_fractal.pytest_plugin.fixtures",
        "pytest_fractal.plugin",
        "pytest_fractal.report",
        "pytest_fractal.report.formats",
    }
    assert len(added) < 10


def test_rules_on_the_manifest_load_nothing_that_builds_installs_or_edits(tmp_path: Path) -> None:
    """Nor what looks for pins, asks a server, or applies schemas: that has its own process."""
    wheel = make_wheel(tmp_path)
    modules = loaded(
        tmp_path,
        *("-p", "pytest_fractal.plugin"),
        *(f"--fractal-package={wheel}", "--fractal-select=FR1,FR2"),
    )
    assert "pytest_fractal.engine" in modules
    unused = HEAVY - {"packaging", "pydantic"} | {"urllib3"}
    assert {name for name in modules if name.partition(".")[0] in unused} == set()
    assert {name for name in modules if name.startswith("pytest_fractal.pins")} == set()
