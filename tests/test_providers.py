"""Which facts there are of each kind of candidate, and so which rules apply to it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from wheel_factory import make_wheel

from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.candidate.installed import InstalledPackage
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import Build, ClusterAnswer, EnvironmentUse, Installation, TreeBuild
from pytest_fractal.package_spec import PackageSpec, parse_package, parse_task
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.subjects import SCOPES
from pytest_fractal.server.facts import Collection, ServerRun
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import SkipKind

SERVER = {Collection, ServerRun}
CLUSTER = {ClusterAnswer}


def made(kind: type[Candidate], spec: PackageSpec, folder: Path, **options: Any) -> Candidate:
    return kind(spec, Settings(**options), folder, LocalExecutor(1))


@pytest.fixture
def wheel(tmp_path: Path) -> PackageSpec:
    return parse_package(str(make_wheel(tmp_path)), tmp_path)


def test_a_package_has_every_fact_and_those_of_a_server_where_one_is_asked(
    wheel: PackageSpec, tmp_path: Path
) -> None:
    candidate = made(Candidate, wheel, tmp_path)
    assert set(candidate.providers) == set(SCOPES) - SERVER - CLUSTER
    asking = made(Candidate, wheel, tmp_path, server="")
    assert set(asking.providers) == set(SCOPES) - CLUSTER
    assert [rule.code for rule in REGISTRY.values() if rule not in Engine(asking).rules] == [
        "FR903"
    ]
    without = {rule.code for rule in REGISTRY.values()} - {
        rule.code for rule in Engine(candidate).rules
    }
    assert without == {"FR901", "FR902", "FR903"}


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="apt-get install slurm-wlm")
def test_what_a_cluster_says_is_only_asked_where_commands_run_on_one(
    wheel: PackageSpec, tmp_path: Path
) -> None:
    candidate = made(Candidate, wheel, tmp_path, executor="slurm")
    assert set(candidate.providers) == set(SCOPES) - SERVER
    assert REGISTRY["FR903"] in Engine(candidate).rules


def test_an_installed_package_says_why_it_has_no_build(tmp_path: Path) -> None:
    installed = parse_package("packaging", tmp_path)
    candidate = made(InstalledPackage, installed, tmp_path, environment=Path(sys.prefix))
    assert set(candidate.providers) == set(SCOPES) - SERVER - CLUSTER
    kinds = {}
    for fact in candidate.providers:
        if (why := candidate.lacking(fact)) is not None:
            assert sys.prefix in str(why)
            kinds[fact] = why.kind
    assert kinds == {
        Build: SkipKind.NOT_APPLICABLE,
        TreeBuild: SkipKind.NOT_APPLICABLE,
        EnvironmentUse: SkipKind.NOT_CHECKED,
    }


def test_no_rule_about_a_wheel_applies_to_tasks_outside_any_package(tmp_path: Path) -> None:
    file = tmp_path / "task.json"
    file.write_text(json.dumps({"name": "Task", "command": "true"}))
    candidate = made(CustomTasks, parse_task("task.json", tmp_path), tmp_path, server="")
    assert not {Wheel, Build, Installation, EnvironmentUse, *SERVER} & set(candidate.providers)
    rules = Engine(candidate).rules
    assert rules
    assert all(set(rule.subjects) <= set(candidate.providers) for rule in rules)
