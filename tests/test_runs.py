"""Runs of samples: what a task is given, workflows, and rules FR401-FR407 on what it does."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner
from kept_environments import KeptEnvironments
from test_samples import write_samples
from wheel_factory import TASK_SOURCE, good_manifest, make_wheel

from pytest_fractal import check_package
from pytest_fractal.generations.v1 import VERSION_1
from pytest_fractal.report.json_file import render
from pytest_fractal.samples.runs import drive

pytestmark = pytest.mark.usefixtures("any_environment")

OBEYS = '''\
"""Does as its argument `do` says, a piece of Python, and answers with what that binds to `out`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()
out_file = Path(options.metadata_out)


def main(*, input_paths, output_path, metadata, do, component=None):
    names = globals() | locals() | {"out": {}}
    exec(do, names)
    return names["out"]


out = main(**json.loads(Path(options.json).read_text()))
if out != "nothing":
    out_file.write_text(json.dumps(out))
'''


def manifest() -> dict[str, Any]:
    """A manifest of tasks that do as their arguments say: one of them, and parallel ones."""
    whole = good_manifest()
    (entry,) = whole["task_list"]
    schema = entry["args_schema"]
    del schema["properties"]["threshold"]
    schema["properties"]["do"] = {"type": "string", "maxLength": 3000}
    schema["required"] = [*schema["required"], "do"]
    tasks = [{**entry, "name": "Once", "executable": "once.py"}]
    component = {"component": {"type": "string"}}
    schema = {
        **schema,
        "properties": {**schema["properties"], **component},
        "required": [*schema["required"], "component"],
    }
    for name in ("Each", "Copy OME-Zarr structure"):
        level = {"parallelization_level": "well"}
        tasks.append(
            {**entry, "name": name, "executable": "each.py", "meta": level, "args_schema": schema}
        )
    return {**whole, "task_list": tasks}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"__init__.py": "", "once.py": OBEYS, "each.py": OBEYS}
    return make_wheel(tmp_path_factory.mktemp("runs"), files=files, manifest=manifest())


def once(do: Any, **more: Any) -> dict[str, Any]:
    """A sample of the non-parallel task."""
    return {"task": "Once", "args": {"do": do}, **more}


def each(do: str, **more: Any) -> dict[str, Any]:
    """A sample of the parallel task."""
    return {"task": "Each", "args": {"do": do}, **more}


class Judged:
    """One run over samples, and its report."""

    def __init__(
        self, folder: Path, wheel: Path, options: Mapping[str, Any] = {}, /, **samples: object
    ) -> None:
        given = write_samples(folder, **samples)
        report = check_package(wheel, samples=given, select=["FR4"], folder=folder, **options)
        (self.candidate,) = json.loads(render(report))["candidates"]
        self.verdicts = {
            (verdict["code"], verdict["sample"]): verdict
            for verdict in self.candidate["verdicts"]
            if verdict["sample"]
        }

    def outcomes(self, sample: str) -> dict[str, str]:
        """The outcome by each rule about a sample that applies."""
        return {
            code: verdict["outcome"]
            for (code, name), verdict in self.verdicts.items()
            if name == sample and verdict["outcome"] != "skip"
        }

    def broken(self, sample: str) -> dict[str, str]:
        """The outcome by each rule that does not pass."""
        return {code: it for code, it in self.outcomes(sample).items() if it != "pass"}

    def found(self, code: str, sample: str) -> str:
        """What a rule has found, all its findings in one text."""
        found = self.verdicts[code, sample]["findings"]
        return " | ".join(f"{finding['expected']} || {finding['found']}" for finding in found)

    def arguments(self, sample: str) -> list[dict[str, Any]]:
        """The arguments of each execution of a sample; the run must have been kept."""
        argvs = [run["argv"] for run in self.candidate["runs"] if run["sample"] == sample]
        return [json.loads(Path(argv[-3]).read_text()) for argv in argvs]


# What a task is given


def test_reserved_arguments_are_those_that_the_server_fills_in(
    tmp_path: Path, wheel: Path
) -> None:
    """And the metadata go from step to step by the server's rules."""
    chain = [
        once("out = {'well': ['w/1', 'w/2'], 'image': ['i'], 'n': 1}", metadata={"own": 0}),
        each("out = {'n': component, 'last': None} if component == 'w/1' else {'n': component}"),
        {**each("pass"), "task": "Copy OME-Zarr structure"},
        once("Path(output_path, 'x').touch(); out = None", metadata={"more": True}),
        once("out = 'nothing'"),
    ]
    judged = Judged(
        tmp_path,
        wheel,
        {"keep": True},
        chain={"steps": chain},
        alone=once("out = {}"),
        one=each("out = None", component="w/9", metadata={"image": [], "k": 1}),
    )
    output = judged.arguments("chain.1")[0]["output_path"]
    steps = [judged.arguments(f"chain.{number}") for number in range(1, 6)]
    reserved = [[{k: v for k, v in key.items() if k != "do"} for key in step] for step in steps]
    given = {"input_paths": [output], "output_path": output}
    made = {"own": 0, "well": ["w/1", "w/2"], "image": ["i"], "n": 1}
    slim = {key: value for key, value in made.items() if key != "image"}
    after = {**made, "n": ["w/1", "w/2"], "last": [None]}
    fresh = [str(Path(output).parent / "input")]
    assert reserved[0] == [{**given, "input_paths": fresh, "metadata": {"own": 0}}]
    assert sorted(reserved[1], key=str) == [
        {**given, "metadata": slim, "component": "w/1"},
        {**given, "metadata": slim, "component": "w/2"},
    ]
    assert sorted(reserved[2], key=str) == [
        {**given, "metadata": after, "component": "w/1"},
        {**given, "metadata": after, "component": "w/2"},
    ]
    assert reserved[3] == [{**given, "metadata": {**after, "more": True}}]
    assert reserved[4] == reserved[3]
    (alone,), (one,) = judged.arguments("alone"), judged.arguments("one")
    assert set(alone) == {"input_paths", "output_path", "metadata", "do"}
    assert isinstance(alone["input_paths"], list)
    assert alone["output_path"] != output
    assert (one["component"], one["metadata"]) == ("w/9", {"k": 1})
    assert judged.broken("chain.2") == {"FR404": "warn"}
    assert judged.broken("chain.5") == {"FR402": "fail"}
    for sample in ("chain.1", "chain.3", "chain.4", "alone", "one"):
        assert judged.broken(sample) == {}


MEETS = """
Path(output_path, component).touch()
while len(list(Path(output_path).iterdir())) < 3:
    time.sleep(0.01)
"""
ALONE = """
path = Path(output_path, "running")
path.touch(exist_ok=False)
path.unlink()
"""


def test_components_run_at_the_same_time_up_to_the_number_of_jobs(
    tmp_path: Path, wheel: Path
) -> None:
    """Three wait for each other; with one job each finds itself alone, in its order."""
    wells = {"well": ["a", "b", "c"]}
    judged = Judged(tmp_path, wheel, {"jobs": 3}, meets=each(MEETS, metadata=wells))
    assert judged.outcomes("meets")["FR401"] == "pass"
    alone = Judged(tmp_path / "alone", wheel, {"jobs": 1}, alone=each(ALONE, metadata=wells))
    assert alone.outcomes("alone")["FR401"] == "pass"


def test_where_the_server_could_start_nothing_the_finding_says_what_it_does(
    tmp_path: Path, wheel: Path
) -> None:
    judged = Judged(
        tmp_path,
        wheel,
        missing=each("pass", metadata={"plate": []}),
        text=each("pass", metadata={"well": "ab"}),
        object=each("pass", metadata={"well": {"a": 1}}),
        number=each("pass", metadata={"well": 5}),
        mixed=each("pass", metadata={"well": ["a", 5]}),
        collide=each("pass", metadata={"well": ["a.b/1", "c", "a/b 1"]}),
        empty=each("pass", metadata={"well": []}),
    )
    for sample in ("missing", "text", "object", "number", "mixed", "collide", "empty"):
        assert judged.outcomes(sample)["FR401"] == "fail"
        assert judged.outcomes(sample)["FR404"] == "blocked"
    found = {sample: judged.found("FR401", sample) for _, sample in judged.verdicts}
    assert "missing in the metadata, which has: plate; the server's job" in found["missing"]
    assert "runs once a character" in found["text"]
    assert "runs once a key" in found["object"]
    assert "the server's job fails" in found["number"]
    assert "hands the task each of them as it is" in found["mixed"]
    assert "'a.b/1' and 'a/b 1' both become 'a_b_1' in file names" in found["collide"]
    assert "is an empty list: there is no component to run for" in found["empty"]
    assert {run["sample"] for run in judged.candidate["runs"]} <= {None, "made"}


@pytest.mark.parametrize(
    ("meta", "is_done"),
    [
        ({}, False),
        *(
            ({"parallel_tasks_per_job": value}, is_done)
            for value, is_done in (
                (1, True),
                (2, True),
                (-1, True),
                (True, True),
                ("1", True),
                (" 3 ", True),
                (1.5, True),
                (10**30, True),
                (0, False),
                (None, False),
                (False, False),
                ("0", False),
                (0.5, False),
                ("x", False),
                ([1], False),
            )
        ),
    ],
)
def test_no_component_is_done_where_the_local_runner_has_a_step(
    meta: dict[str, Any], is_done: bool
) -> None:
    """As seen with fractal-server 1.4.10: without one, the step of its `range` is 0."""
    entry = {"meta": {"parallelization_level": "well", **meta}}
    before = {"metadata": {"well": [], "other": 1}}
    ended = drive(VERSION_1.play("Each", entry, before, None, Path("/data")), lambda _: [])
    assert ended.blocked is not None
    assert ended.blocked.fails is not is_done
    assert ended.state.value == before["metadata"]


def test_a_step_after_a_failed_step_is_blocked_by_it(tmp_path: Path, wheel: Path) -> None:
    chain = [once("sys.exit('no such plate')"), once("pass"), each("pass")]
    bad_output = [once("out = []"), once("pass")]
    judged = Judged(tmp_path, wheel, chain={"steps": chain}, output={"steps": bad_output})
    assert judged.outcomes("chain.1")["FR401"] == "fail"
    assert "exit status 1: no such plate" in judged.found("FR401", "chain.1")
    for step in ("chain.2", "chain.3"):
        assert set(judged.outcomes(step).values()) == {"blocked"}
        assert judged.verdicts["FR401", step]["reason"] == "blocked by FR401"
    assert judged.verdicts["FR401", "output.2"]["reason"] == "blocked by FR403"
    ran = {run["sample"] for run in judged.candidate["runs"]}
    assert ran - {None, "made"} == {"chain.1", "output.1"}
    found = judged.verdicts["FR401", "chain.1"]["findings"][0]
    assert found["where"].endswith("samples/chain.json:3 at /steps/0")


# What it writes


def write(text: str) -> str:
    return f"out_file.write_bytes({text.encode()!r}); out = 'nothing'"


OUTPUTS = {
    "nothing": "out = 'nothing'",
    "null": "out = None",
    "object": "pass",
    "keys": "out = {'k': 1}",
    "list": "out = []",
    "pairs": "out = [['a', 1]]",
    "number": "out = 5",
    "text": "out = 'text'",
    "false": "out = False",
    "empty": write(""),
    "blank": write(" \n"),
    "mark": write("\ufeff{}"),
    "python": write("{'a': 1}"),
    "nan": write('{"a": NaN}'),
    "two": write("{}{}"),
    "twice": write('{"a": 1, "a": 1}'),
    "deep": write("[" * 99999),
    "space": write(" {}\n"),
    "failed": write("[]") + "; sys.exit(3)",
}
"""What a task does, by a name for what it then has written."""


@pytest.fixture(scope="module")
def outputs(
    tmp_path_factory: pytest.TempPathFactory, environments: KeptEnvironments, wheel: Path
) -> Judged:
    """All of them, by both tasks."""
    samples = {f"once_{name}": once(do) for name, do in OUTPUTS.items()}
    samples |= {f"each_{name}": each(do, component="c") for name, do in OUTPUTS.items()}
    with environments.handed_out():
        return Judged(tmp_path_factory.mktemp("outputs"), wheel, **samples)


@pytest.mark.parametrize("kind", ["once", "each"])
def test_outputs_are_judged_as_the_server_takes_them(outputs: Judged, kind: str) -> None:
    broken = {name: outputs.broken(f"{kind}_{name}") for name in OUTPUTS}
    rule = "FR403" if kind == "once" else "FR404"
    for name in (
        "list",
        "pairs",
        "number",
        "text",
        "false",
        "empty",
        "blank",
        "mark",
        "python",
        "nan",
        "two",
        "deep",
    ):
        assert broken.pop(name) == {rule: "fail"}, name
    assert broken.pop("failed")["FR401"] == "fail"
    if kind == "once":
        assert broken.pop("nothing") == {"FR402": "fail"}
    else:
        assert broken.pop("keys") == {"FR404": "warn"}
        assert broken.pop("twice") == {"FR404": "warn"}
    assert set(map(str, broken.values())) == {"{}"}, broken
    assert "an empty file" in outputs.found(rule, f"{kind}_empty")
    assert "byte order mark" in outputs.found(rule, f"{kind}_mark")
    assert "NaN is not JSON" in outputs.found(rule, f"{kind}_nan")


LEAVES = """
ready = output_path + "/ready"
if os.fork() == 0:
    os.setsid()
    {stay}
    os._exit(0)
while not os.path.exists(ready):
    time.sleep(0.01)
"""
STAYS = (
    "open(ready, 'w').close(); null = os.open(os.devnull, os.O_RDWR); "
    "[os.dup2(null, n) for n in (0, 1, 2)]; time.sleep(600)"
)
SPINS = STAYS.replace("time.sleep(600)", "exec('while True: pass')")
WRITES_LATE = (
    "main_pid = os.getppid(); open(ready, 'w').close()\n"
    "    while os.getppid() == main_pid: time.sleep(0.01)\n"
    "    time.sleep(0.05); open(output_path + '/late', 'w').write('x')"
)
JUST_ENDS = "open(ready, 'w').close(); time.sleep(0.1)"


def test_what_is_left_or_written_afterwards_is_reported(tmp_path: Path, wheel: Path) -> None:
    """FR405; a task that merely takes its time, or whose child just ends, is not blamed."""
    judged = Judged(
        tmp_path,
        wheel,
        stays=once(LEAVES.format(stay=STAYS)),
        spins=once(LEAVES.format(stay=SPINS)),
        late=once(LEAVES.format(stay=WRITES_LATE)),
        ends=once(LEAVES.format(stay=JUST_ENDS)),
        each=each(
            LEAVES.replace("/ready", "/' + component + 'ready")
            .replace('"', "'")
            .format(stay=WRITES_LATE),
            metadata={"well": ["a", "b"]},
        ),
        slow=once("time.sleep(1)"),
        parallel=each("pass", component="a"),
    )
    # Servers are done with a job that leaves a process which only waits.
    assert judged.broken("stays") == {"FR405": "warn"}
    assert re.search(
        r"still there, idle: \S*python\S* \S*once\.py -j", judged.found("FR405", "stays")
    )
    assert judged.broken("spins") == {"FR405": "fail"}
    assert "still there, at work: " in judged.found("FR405", "spins")
    assert judged.broken("late") == {"FR405": "fail"}
    assert "written afterwards: late" in judged.found("FR405", "late")
    assert judged.broken("each") == {"FR405": "fail"}
    for sample in ("ends", "slow", "parallel"):
        assert judged.broken(sample) == {}, sample


# How it ends


def test_a_signal_and_the_time_limit_are_distinguished_from_a_status(
    tmp_path: Path, wheel: Path
) -> None:
    judged = Judged(
        tmp_path,
        wheel,
        {"timeout": 3.0},
        killed=once("os.kill(os.getpid(), 9)"),
        crashed=once("signal.signal(11, signal.SIG_DFL); os.kill(os.getpid(), 11)"),
        status=once("sys.exit(7)"),
        raised=once("raise ValueError('too small')"),
        hangs=once("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"),
        loud=once("print('x' * 5_000_000)"),
    )
    found = {sample: judged.found("FR401", sample) for _, sample in judged.verdicts}
    assert "killed by signal SIGKILL" in found["killed"]
    assert "killed by signal SIGSEGV" in found["crashed"]
    assert "exit status 7" in found["status"]
    assert "exit status 1: ValueError: too small" in found["raised"]
    assert "no end within 3 s" in found["hangs"]
    assert judged.broken("loud") == {}
    (hung,) = [run for run in judged.candidate["runs"] if run["sample"] == "hangs"]
    assert (hung["timed_out"], hung["returncode"]) == (True, -9)


def test_a_sample_that_expects_failure_is_refused_and_by_whom(tmp_path: Path, wheel: Path) -> None:
    """By the schema or by a status; a signal or a hang is no refusal, nor a missing level."""
    fails: dict[str, Any] = {"expect": "failure"}
    judged = Judged(
        tmp_path,
        wheel,
        {"timeout": 3.0},
        command=once("sys.exit(2)", **fails),
        schema=once(5, **fails),
        both=once("sys.exit(2)" + " " * 3000, **fails),
        allowed=once("pass", **fails),
        signal=once("os.kill(os.getpid(), 9)", **fails),
        hangs=once("time.sleep(600)", **fails),
        level=each("pass", **fails),
        some=each("sys.exit(component == 'b')", metadata={"well": ["a", "b"]}, **fails),
    )
    reasons = {sample: judged.verdicts["FR406", sample]["reason"] for _, sample in judged.verdicts}
    assert reasons["command"] == "refused by the command (exit status 2)"
    assert "by the schema (5 is not of type 'string') and by the command" in reasons["schema"]
    assert reasons["both"].endswith("and by the command (exit status 2)")
    assert reasons["some"] == "refused by the command (exit status 0, exit status 1)"
    assert "and the command: exit status 0" in judged.found("FR406", "allowed")
    assert "and the command: killed by signal SIGKILL" in judged.found("FR406", "signal")
    assert "and the command: no end within 3 s" in judged.found("FR406", "hangs")
    assert "'well' is missing" in judged.found("FR406", "level")
    for sample in reasons:
        assert "FR401" not in judged.outcomes(sample)


def test_without_a_sample_a_run_is_judged_only_if_it_happens_to_succeed(
    tmp_path: Path, wheel: Path
) -> None:
    """`text` is no Python: nothing is judged. With a default that does something, it is."""
    plain = good_manifest()
    (entry,) = plain["task_list"]
    schema = entry["args_schema"]
    do = {"type": "string", "enum": ["out = []", "pass"]}
    schema["properties"] = {**schema["properties"], "do": do}
    del schema["properties"]["threshold"]
    schema["required"] = [*schema["required"], "do"]
    other = make_wheel(tmp_path, files={"__init__.py": "", "task.py": OBEYS}, manifest=plain)
    for package, outcome, reason in (
        (wheel, "skip", "arguments made from its schema did not do: NameError: name 'text'"),
        (other, "fail", ""),
    ):
        (candidate,) = check_package(package, select=["FR403", "FR401", "FR407"]).candidates
        verdicts = candidate.verdicts
        first = next(verdict for verdict in verdicts if verdict.code == "FR403")
        assert (first.sample, first.outcome) == ("made", outcome)
        assert reason in (first.reason or "")
        assert {verdict.outcome for verdict in verdicts if verdict.code == "FR401"} == {"skip"}
        assert {verdict.outcome for verdict in verdicts if verdict.code == "FR407"} == {"pass"}


def test_why_made_arguments_did_not_do_is_reported_alike_in_every_run(tmp_path: Path) -> None:
    failing = TASK_SOURCE.replace("return {}", "raise ValueError(output_path)")
    wheel = make_wheel(tmp_path, files={"__init__.py": "", "task.py": failing})
    (candidate,) = check_package(wheel, select=["FR403"]).candidates
    (verdict,) = candidate.verdicts
    assert (verdict.reason or "").endswith("did not do: ValueError: {tmp}/ome_zarr")


# Repeating a run


def test_kept_runs_can_be_repeated_by_the_line_that_is_printed(
    runner: Runner, wheel: Path
) -> None:
    write_samples(
        runner.folder,
        good=once("pass"),
        bad=once("print(os.getcwd()); Path(output_path, 'x').touch(); sys.exit(4)"),
        some=each("sys.exit(component == 'b c')", metadata={"well": ["a", "b c"]}),
        writes=once("out = []"),
    )
    options = (f"--fractal-package={wheel}", "--fractal-samples=samples")
    kept = runner.pytest(*options, "--fractal-keep", "--fractal-select=FR401,FR403")
    lines = kept.out.splitlines()
    reported = [
        (line.split()[2].rstrip(":"), lines[at + 1].strip())
        for at, line in enumerate(lines)
        if line.startswith("to repeat ")
    ]
    assert len(reported) == 3  # of the two components, the failed one
    repeats = dict(reported)
    assert set(repeats) == {"once-bad", "once-writes", "each-some"}
    again = subprocess.run(repeats["once-bad"], shell=True, capture_output=True, text=True)
    assert again.returncode == 4, again.stderr
    assert Path(again.stdout.strip()).name == "work"
    assert subprocess.run(repeats["each-some"], shell=True).returncode == 1
    assert subprocess.run(repeats["once-writes"], shell=True).returncode == 0
    words = shlex.split(repeats["once-writes"])
    assert Path(words[-1]).read_text() == "[]"
    assert Path(words[-3]).is_file()
    assert "--fractal-keep" in kept.out.replace("\n", " ")
    unkept = runner.pytest(*options, "--fractal-select=FR401[once]")
    assert "\nto repeat " not in unkept.out
    assert "--fractal-keep" in unkept.out


# Ctrl-C


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_what_a_task_has_left(runner: Runner, wheel: Path, jobs: int) -> None:
    """Whether the main thread runs the task or waits for another that does."""
    note = runner.folder / "pids"
    os.mkfifo(note)
    do = f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open({str(note)!r}, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""
    write_samples(runner.folder, daemon=once(do))
    process = runner.start(
        *runner.argv(
            f"--fractal-package={wheel}",
            "--fractal-samples=samples",
            "--fractal-select=FR401[once]",
            f"--fractal-jobs={jobs}",
            "--fractal-sandbox=off",  # so that the daemon can say who it is
        )
    )
    pid = int(note.read_text())  # waits for the daemon
    process.send_signal(signal.SIGINT)
    ran = runner.finish(process)
    assert ran.status == 2, ran.text
    assert ran.left == []
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"
