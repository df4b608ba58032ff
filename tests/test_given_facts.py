"""FR117, FR210, FR401, FR409, FR9: what is said of facts that take long to gather."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_rules_output import Outputs, findings, said
from test_rules_output import listed as manifest_with_tasks
from test_samples import write_samples
from wheel_factory import candidate_of, good_manifest, make_wheel, write_archive

from pytest_fractal.environments.pip_show import LOCATION, PipShow
from pytest_fractal.environments.snapshots import Change, ChangeKind
from pytest_fractal.facts import ClusterAnswer, ClusterRefusal, EnvironmentUse, GeneratedManifest
from pytest_fractal.generations import ModelFault, RunBlocked
from pytest_fractal.processes.processes import Limit
from pytest_fractal.rules import REGISTRY
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Run
from pytest_fractal.server.facts import Collected, Collection, ListedTask, ServerRun
from pytest_fractal.task_lists import Generator, Manifest
from pytest_fractal.verdicts import NotApplicable, NotChecked, Severity, Skipped

SERVER = "fractal-server 2.18.5"
TELL = (
    "fix what the server names, or what a rule says that is ignored here; where every rule "
    "holds, please tell the authors of pytest-fractal too"
)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    found = candidate_of(make_wheel(tmp_path)).manifest
    assert found is not None
    return found


# --- FR901 ------------------------------------------------------------------------------


def collected(*tasks: ListedTask, outcome: Any = "done", **more: Any) -> Collected:
    known = {"status": "OK", "said": "", "seconds": 12.4, **more}
    return Collected(SERVER, outcome, tasks=tasks, **known)


def listed(name: str, source: str | None = None, **commands: str) -> ListedTask:
    return ListedTask(name, commands or {"command": "python a.py"}, source)


def test_what_a_server_collects_as_it_is_reported_is_noted(manifest: Manifest) -> None:
    tasks = (listed("A", "s:1"), listed("B"))
    (note,) = said("FR901", Collection(collected(*tasks), tasks), manifest)
    assert str(note) == f"{SERVER} took 12 s"


ANSWERS: list[tuple[dict[str, Any], str]] = [
    (
        {"outcome": "refused", "status": "422", "said": "no manifest"},
        "it refuses with status 422: no manifest",
    ),
    (
        {"outcome": "broken", "status": "500", "said": "\n \n"},
        "it breaks, and answers with status 500: it says nothing",
    ),
    (
        {"outcome": "frozen", "status": "collecting", "said": "x", "quiet": 30.4, "at_work": True},
        "the collection is still 'collecting' after 30 s, though it could have ended long since. "
        "Its last words: x",
    ),
    (
        {"outcome": "frozen", "status": "collecting", "said": "x", "quiet": 30.4},
        "the collection stays 'collecting' for ever: nothing has changed for 30 s, and no process "
        "works on it. Its last words: x",
    ),
    (
        {"outcome": "failed", "said": "".join(f"{number} \n\n" for number in range(8))},
        "its collection fails: 0\n1\n2\n3\n4\n5\n6\n7",
    ),
    (
        {"outcome": "failed", "said": "".join(f"{number} \n\n" for number in range(9))},
        "its collection fails: 0\n[...]\n3\n4\n5\n6\n7\n8",
    ),
]


@pytest.mark.parametrize(("answer", "found"), ANSWERS)
def test_a_server_that_does_not_collect_is_reported_with_its_words(
    manifest: Manifest, answer: dict[str, Any], found: str
) -> None:
    (reported,) = said("FR901", Collection(collected(**answer), (listed("A"),)), manifest)
    (finding,) = findings("FR901", Collection(collected(**answer), ()), manifest)
    assert reported == finding
    assert (finding.expected, finding.found) == (f"{SERVER} collects the wheel", found)
    assert (finding.hint, finding.file) == (TELL, "demo/__FRACTAL_MANIFEST__.json")


def test_tasks_that_a_server_lists_otherwise(manifest: Manifest) -> None:
    here = (listed("A", "s:1"), listed("B"), listed("C", "s:3", b="two", a="one"))
    there = (listed("A", "s:1", command="python b.py"), listed("B"), listed("D"))
    reported = findings("FR901", Collection(collected(*there), here), manifest)
    assert [(finding.expected, finding.found) for finding in reported] == [
        (
            f'{SERVER} lists "A", source s:1, command python a.py',
            'it lists "A", source s:1, command python b.py',
        ),
        (f'{SERVER} lists "C", source s:3, a one, b two', "it lists no such task"),
        (f"{SERVER} lists no such task", 'it lists "D", command python a.py'),
    ]
    assert {(finding.hint, finding.file) for finding in reported} == {(TELL, manifest.path)}


# --- FR902 ------------------------------------------------------------------------------


def server_run(dataset: Any = None, outcome: Any = "done", **more: Any) -> ServerRun:
    known = {"status": "done", "said": "", "seconds": 3.0, "dataset": dataset or {}, **more}
    return ServerRun(SERVER, outcome, **known)


def test_a_run_that_a_server_ends_in_the_same_way(outputs: Outputs) -> None:
    run = outputs.run("1", "Once", '{"plate": ["a"]}')
    assert run.dataset == {"plate": ["a"]}
    assert said("FR902", run, server_run({"plate": ["a"]})) == []


def test_what_a_server_keeps_otherwise_is_reported_by_its_place(outputs: Outputs) -> None:
    run = outputs.run("1", "Once", '{"plate": ["a"], "at": 1, "b": 2}')
    there = server_run({"plate": ["b"], "at": 2}, varying=("/at", "/x"))
    *reported, note = said("FR902", run, there)
    assert str(note) == "not compared, for it differs here too: /at, /x"
    first, second = findings("FR902", run, there)
    assert reported == [first, second]
    assert (first.expected, first.found) == (
        'the metadata as it is here at /plate/0: "a"',
        f'on {SERVER}: "b"',
    )
    assert (second.expected, second.found) == (
        "the metadata as it is here at /b: 2",
        f"on {SERVER}: nothing",
    )
    assert first.hint == (
        "let the task take from its arguments, and from what lies at its paths, what it writes "
        "there"
    )
    assert (first.task, first.line) == ("once", 1)
    assert first.file is not None
    assert first.file.endswith("one.json")


def test_a_job_that_a_server_does_not_end(outputs: Outputs) -> None:
    run = outputs.run("1", "Once", "{}")
    (finding,) = findings("FR902", run, server_run(outcome="failed", said="no such file"))
    assert finding.expected == f"{SERVER} runs it as it runs here, and the job is done"
    assert finding.found == "its job fails: no such file"
    assert finding.hint == (
        "see what the task takes from its surroundings: environment variables, the working "
        f"directory, the network; else {TELL}"
    )
    with pytest.raises(NotChecked, match="the sample does not succeed here"):
        said("FR902", outputs.run("1", "Once", None, returncode=1), server_run())


def test_which_samples_a_server_can_run(outputs: Outputs, tmp_path: Path) -> None:
    def skip(**keys: Any) -> Skipped | None:
        return REGISTRY["FR902"].skip_reason(outputs.sample("1", "Once", **keys))

    assert skip() is None
    assert isinstance(skip(expect="failure"), NotApplicable)
    assert skip(metadata={"a": 1}) is None
    (tmp_path / "1").mkdir()
    first, last = workflow(tmp_path / "1")
    assert str(REGISTRY["FR902"].skip_reason(first)) == "judged with the last step of the workflow"
    assert REGISTRY["FR902"].skip_reason(last) is None
    (tmp_path / "2").mkdir()
    _, last = workflow(tmp_path / "2", metadata={"a": 1})
    reason = REGISTRY["FR902"].skip_reason(last)
    assert isinstance(reason, NotChecked)
    assert str(reason) == (
        "the step one.2 gives its own metadata; on a server it has what the step before has left"
    )


def workflow(folder: Path, **last: Any) -> tuple[Sample, Sample]:
    """Two steps of a workflow, the second with these keys."""
    steps = [{"task": "Once"}, {"task": "Once", **last}]
    samples = write_samples(folder, one={"steps": steps})
    wheel = make_wheel(folder, manifest=manifest_with_tasks("1"))
    first, second = candidate_of(wheel, samples=samples).sample_runs.usable
    return first, second


# --- FR903 ------------------------------------------------------------------------------


def test_what_a_cluster_refuses_is_reported_at_its_place(tmp_path: Path) -> None:
    (task,) = candidate_of(make_wheel(tmp_path)).tasks
    (part,) = task.run_parts
    words = 'Memory "1T" is too much'
    answer = ClusterAnswer(
        part,
        (ModelFault(("mem",), "a number", "a text", hint="write 5"),),
        (
            ClusterRefusal(("mem",), words, ("--mem=1000M", "--time=1")),
            ClusterRefusal((), "bad", ()),
            ClusterRefusal(None, "no name", ("--job-name",)),
        ),
    )
    less = (
        "ask for what this cluster has (`sinfo --format='%P %l %c %m %G %f'` lists it); or if the "
        "package is for another cluster, judge it there"
    )
    takes = "a value with which this cluster takes the job"
    reported = findings("FR903", answer)
    meta = "/task_list/0/meta"
    assert [(found.pointer, found.expected, found.found, found.hint) for found in reported] == [
        (f"{meta}/mem", "a number", "a text", "write 5"),
        (
            f"{meta}/mem",
            takes,
            r'1000: sbatch says "Memory \"1T\" is too much", of --mem=1000M, --time=1',
            less,
        ),
        (meta, takes, '{"cpus_per_task": 1, "mem": 1000}: sbatch says "bad"', less),
        (
            "/task_list/0/name",
            takes,
            '"Demo task": sbatch says "no name", of --job-name',
            "choose a name that a script of `sbatch` can hold: without quotation marks",
        ),
    ]
    assert {found.task for found in reported} == {"demo_task"}
    assert findings("FR903", ClusterAnswer(part)) == []


# --- FR409 ------------------------------------------------------------------------------

ALONE = (
    "write results below the paths that the task is given, temporary files by `tempfile`, and "
    "caches below the home of the user (`platformdirs`)"
)


def changes(kind: ChangeKind, *paths: str) -> Iterator[Change]:
    return (Change(path, kind, 0.0) for path in paths)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), []),
        (changes(ChangeKind.ADDED, "lib/a.txt"), [(Severity.WARNING, "added: lib/a.txt")]),
        (changes(ChangeKind.ADDED, "lib/a.py"), [(None, "added: lib/a.py")]),
        (changes(ChangeKind.ADDED, "bin/tool"), [(None, "added: bin/tool")]),
        (changes(ChangeKind.ADDED, "lib/bin"), [(Severity.WARNING, "added: lib/bin")]),
        (changes(ChangeKind.CHANGED, "lib/a.txt"), [(None, "changed: lib/a.txt")]),
        (
            (
                *changes(ChangeKind.REMOVED, "d", "c", "a", "b", "e"),
                *changes(ChangeKind.CHANGED, "3", "1", "2"),
                *changes(ChangeKind.ADDED, "n"),
            ),
            [
                (None, "changed: 1, 2, 3; removed: a, b, c and 2 more"),
                (Severity.WARNING, "added: n"),
            ],
        ),
    ],
)
def test_what_a_task_changes_in_its_environment(
    outputs: Outputs, paths: Iterator[Change], expected: list[tuple[Severity | None, str]]
) -> None:
    use = EnvironmentUse("demo/task.py", tuple(paths))
    run = outputs.run("1", "Once", "{}")
    reported = findings("FR409", run, use)
    assert [(found.severity, found.found) for found in reported] == expected
    for found in reported:
        assert (found.expected, found.hint) == ("the environment as it was installed", ALONE)
        assert found.file == "demo/task.py"


# --- FR210 ------------------------------------------------------------------------------

GENERATOR = Generator("fractal-manifest create", "demo/dev/task_list.py")


@pytest.fixture
def generated(manifest: Manifest) -> Manifest:
    return Manifest(**{**vars(manifest), "generator": GENERATOR})


def differing(manifest: Manifest, change: Any) -> list[tuple[str | None, str | None, str]]:
    value = good_manifest()
    change(value)
    reported = findings("FR210", manifest, GeneratedManifest(json.dumps(value)))
    for found in reported:
        assert found.expected == "what the package's generator makes of its code"
        assert found.hint == f"generate the manifest anew, and commit it:{GENERATOR.commands}"
    return [(found.pointer, found.task, found.found) for found in reported]


def test_what_a_generator_makes_otherwise(generated: Manifest) -> None:
    task = "/task_list/0"
    properties = f"{task}/args_schema/properties"
    assert differing(generated, lambda value: None) == []
    assert differing(generated, lambda value: value.update(authors="Ada")) == [
        ("/authors", None, '/authors: missing, generated: "Ada"')
    ]
    assert differing(generated, lambda value: value.update(zebra=1)) == [
        ("/zebra", None, "/zebra: missing, generated: 1")
    ]
    assert differing(generated, lambda value: value["task_list"][0].pop("docs_info")) == [
        (
            f"{task}/docs_info",
            "demo_task",
            f'{task}/docs_info: "Does nothing.", generated: nothing',
        )
    ]
    ((pointer, _, found),) = differing(
        generated,
        lambda value: value["task_list"][0]["args_schema"]["properties"].update(
            {f"p{number:02}": {} for number in range(14)}
        ),
    )
    lines = [f"{properties}/p{number:02}: missing, generated: {{}}" for number in range(12)]
    assert (pointer, found.splitlines()) == (f"{properties}/p00", [*lines, "and 2 more"])
    ((_, _, found),) = differing(
        generated,
        lambda value: value["task_list"][0]["args_schema"]["properties"].update(
            {f"p{number:02}": {} for number in range(12)}
        ),
    )
    assert found.splitlines() == lines


def test_tasks_that_a_generator_adds_drops_and_sorts(generated: Manifest) -> None:
    entry = good_manifest()["task_list"][0]

    def names(*names: str) -> Any:
        listed = [{**entry, "name": name} for name in names]
        return lambda value: value.update(task_list=listed)

    added = [
        (
            "/task_list",
            None,
            f"/task_list: missing, generated: \"a task '{name}'\"",
        )
        for name in ("Z", "B", "Y", "A")
    ]
    ((pointer, task, found),) = differing(generated, names("Z", "B", "Demo task", "Y", "A"))
    assert (pointer, task) == ("/task_list", None)
    assert found.splitlines() == [line for _, _, line in added]
    gone, come = differing(generated, names("A"))
    assert gone[:2] == ("/task_list/0", "demo_task")
    assert gone[2].endswith(", generated: nothing")
    assert come == added[-1]
    ((pointer, _, found),) = differing(generated, lambda value: value.update(task_list={}))
    assert pointer is None
    assert found.startswith(": {")


def test_the_order_of_tasks_is_what_a_generator_makes_too(tmp_path: Path) -> None:
    value = good_manifest()
    (entry,) = value["task_list"]
    value["task_list"] = [{**entry, "name": "A"}, {**entry, "name": "B"}]
    manifest = candidate_of(make_wheel(tmp_path, manifest=value)).manifest
    assert manifest is not None
    manifest = Manifest(**{**vars(manifest), "generator": GENERATOR})
    turned = {**value, "task_list": [*reversed(value["task_list"])]}

    def reported(other: Any) -> list[str]:
        made = GeneratedManifest(json.dumps(other))
        return [found.found for found in findings("FR210", manifest, made)]

    assert reported(value) == []
    assert reported(turned) == ['/task_list: ["A", "B"], generated: ["B", "A"]']


def test_a_generator_that_fails_tells_nothing(generated: Manifest) -> None:
    with pytest.raises(NotChecked) as raised:
        said("FR210", generated, GeneratedManifest(None, "no such module"))
    assert str(raised.value) == (
        "`fractal-manifest create` fails in the candidate's environment: no such module"
    )


# --- FR401 ------------------------------------------------------------------------------


def test_a_run_that_says_warning_is_noted_for_servers_that_mark_it(outputs: Outputs) -> None:
    said_so: dict[str, Any] = {
        "stdout": "all is well\n",
        "stderr": f"  UserWarning: {'x' * 300}\nWARNING: two\n",
    }
    (found,) = findings("FR401", outputs.run("2", "Once", "{}", **said_so))
    assert found.severity is Severity.NOTE
    since = found.releases
    assert since is not None
    assert since.startswith(">=2.")
    text = f"UserWarning: {'x' * 300}"[:200]
    assert found.found == (
        f"{text!r}: fractal-server {since[2:]} and newer mark such a run, and the web client "
        "shows the mark"
    )
    assert found.expected == "an output without the word warning"
    assert findings("FR401", outputs.run("2", "Once", "{}", stdout="well")) == []
    assert findings("FR401", outputs.run("1", "Once", "{}", **said_so)) == []
    (found,) = findings("FR401", outputs.run("2", "Once", "{}", returncode=1, **said_so))
    assert found.severity is None


def test_a_run_that_took_more_than_it_asked_for(outputs: Outputs) -> None:
    def reported(**ended: Any) -> tuple[str, str, str]:
        (found,) = findings("FR401", outputs.run("1", "Each", "{}", **ended))
        return found.expected, found.found, found.hint

    more = "let 'meta' of the task 'Each' ask for more (its key "
    memory = f'{more}"mem"), or let the task take less memory'
    assert reported(excess="it had 5 GB") == (
        "no more memory than its job requests for the component 'plate.zarr/B/03/0'",
        "it had 5 GB: where jobs are held to what they ask for, it is killed",
        memory,
    )
    assert reported(returncode=-9, limit=Limit.MEMORY, job="job 3") == (
        "exit status 0 for the component 'plate.zarr/B/03/0'",
        "killed by SLURM, for it took more memory than its job has (job 3): it says nothing",
        memory,
    )
    assert reported(returncode=-15, limit=Limit.TIME, job="job 3")[2] == (
        f'{more}"time"), or let the task take less time'
    )
    assert reported(returncode=-9)[2] == (
        "fix the task, or the sample's arguments; with --fractal-keep the command line to repeat "
        "the run is printed"
    )


MISSES = "Traceback (most recent call last):\nTypeError: main() missing 1 required positional "
KNOWS = "Traceback (most recent call last):\nTypeError: main() got an unexpected keyword "


@pytest.mark.parametrize(
    ("stderr", "args", "follows"),
    [
        (f"{MISSES}argument: 'sigma'\n", {}, "FR208"),
        (f"{MISSES}argument: 'other'\n", {}, "FR206"),
        (f"{KNOWS}argument 'sigma'\n", {"sigma": 1}, "FR206"),
        (f"{KNOWS}argument 'other'\n", {"other": 1}, "FR208"),
        ("ValueError: no\n", {}, None),
    ],
)
def test_what_a_failed_run_follows_from(
    outputs: Outputs, stderr: str, args: dict[str, Any], follows: str | None
) -> None:
    keys = {"args": args}
    run = outputs.run("1", "Once", None, keys=keys, returncode=1, stderr=stderr)
    (found,) = findings("FR401", run)
    assert found.follows == follows


def test_a_run_that_is_stopped_without_an_error_is_a_warning(outputs: Outputs) -> None:
    run = outputs.run("1", "Once", "{}")
    for fails, severity in ((True, None), (False, Severity.WARNING)):
        blocked = Run(run.sample, (), RunBlocked("an image", "none", "add one", fails), run.state)
        (found,) = findings("FR401", blocked)
        assert (found.expected, found.found, found.hint) == ("an image", "none", "add one")
        assert found.severity is severity


# --- FR117 ------------------------------------------------------------------------------

ANEW = "write it otherwise in the [project] table"
LISTS = "build the wheel anew with a current build backend, which lists each file once in RECORD"
PRINTS = "something prints this whenever Python starts: leave the `.pth` file that does it out of"
BLANK = "build the wheel with a current build backend, which writes a blank there"
LOCATED = f"Location: {LOCATION}"
FILE = "demo/__FRACTAL_MANIFEST__.json"


@pytest.mark.parametrize(
    ("version", "about", "files", "strange", "found", "file", "hint"),
    [
        (
            "2",
            ("Name: demo", "Summary: Name: x", LOCATED),
            (FILE,),
            (),
            "Summary: Name: x",
            "METADATA",
            ANEW,
        ),
        ("2", ("Name: demo", LOCATED), (FILE, "x/" + FILE), (), "x/" + FILE, "RECORD", LISTS),
        (
            "2",
            ("Name: demo", "Name: y", LOCATED),
            (FILE,),
            ("Name: y",),
            "Name: y",
            "METADATA",
            PRINTS,
        ),
        (
            "2",
            ("Name: demo", f"A{'x' * 130}Name: y", LOCATED),
            (FILE,),
            (),
            f"A{'x' * 119}",
            "METADATA",
            ANEW,
        ),
        ("2", ("Name:x", "Name: demo", LOCATED), (FILE,), (), "Name:x", "METADATA", BLANK),
        ("1", ("Location: x", LOCATED), (), (), "Location: x", "METADATA", ANEW),
    ],
)
def test_lines_by_which_a_server_is_misled(
    tmp_path: Path,
    version: str,
    about: tuple[str, ...],
    files: tuple[str, ...],
    strange: tuple[str, ...],
    found: str,
    file: str,
    hint: str,
) -> None:
    candidate = candidate_of(make_wheel(tmp_path, manifest=manifest_with_tasks(version)))
    shown = PipShow(about, files, strange)
    (reported,) = findings("FR117", candidate.wheel, candidate.manifest, shown)
    assert (reported.found, reported.file) == (found, f"demo-1.0.dist-info/{file}")
    assert reported.hint.startswith(hint)


def test_a_pth_file_is_named_and_a_pip_show_that_fails(tmp_path: Path) -> None:
    candidate = candidate_of(make_wheel(tmp_path, manifest=manifest_with_tasks("2")))
    content = dict.fromkeys(("demo/__init__.py", "demo.pth", "z.pth"), "")
    content["demo-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    wheel = candidate_of(
        write_archive(tmp_path / "w" / "demo-1.0-py3-none-any.whl", content)
    ).wheel
    shown = PipShow(("Name: demo", "Name: y", LOCATED), (FILE,), ("Name: y",))
    (reported,) = findings("FR117", wheel, candidate.manifest, shown)
    assert reported.file == "demo.pth"
    (reported,) = findings(
        "FR117", wheel, candidate.manifest, PipShow((), (), failure="no such file")
    )
    assert (reported.expected, reported.found, reported.hint, reported.file) == (
        "`pip show` can print the package's metadata, for the server asks it",
        "it fails: no such file",
        "install the wheel into a fresh environment, and fix what `pip show --files demo` "
        "complains about there",
        "demo-1.0.dist-info/METADATA",
    )


def test_a_relative_path_to_a_file_beside_the_sample(outputs: Outputs) -> None:
    said_so = "FileNotFoundError: [Errno 2] No such file or directory: "
    run = outputs.run("1", "Once", "{}", returncode=1, stderr=f"{said_so}'data/table.csv'\n")
    (found,) = findings("FR401", run)
    assert found.hint.startswith("fix the task, or the sample's arguments")
    there = run.sample.file.parent / "data" / "table.csv"
    there.parent.mkdir(parents=True)
    there.write_text("")
    (found,) = findings("FR401", run)
    assert found.hint == (
        "the file lies beside the sample, and a task runs in another folder: write "
        '"{samples}/data/table.csv"'
    )
    run = outputs.run("1", "Once", "{}", returncode=1, stderr=f"{said_so}'{'x' * 900}'\n")
    (found,) = findings("FR401", run)
    assert found.hint.startswith("fix the task, or the sample's arguments")
