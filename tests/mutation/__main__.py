"""Put small faults into what judges, one at a time, and see whether a fast test fails.

    python -m tests.mutation [--count NUMBER] [--seed 0] [--folder FOLDER] [MODULE ...]

The faults are Cosmic Ray's, in a copy of the working tree. Which tests can notice one is known
from a run of them under coverage: those that execute its line, the quickest first, and for a
line that runs at import those that execute anything of its module, and those of what all modules
declare. Its tests are run in a fork of a process that has imported all but the project, until
the first fails. With `--folder`, what came of each is kept, and an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory

from .mutants import Mutant, changes_nothing, mutants_of, mutated, outline

ROOT = Path(__file__).parents[2]
MODULES = ("engine.py", "rules/*.py", "generations/*.py")
TESTS = (
    "engine",
    "registry",
    "providers",
    "rules_manifest",
    "rules_package",
    "rules_schemas",
    "rules_output",
    "start_findings",
    "command_findings",
    "given_facts",
    "generation_1_samples",
    "manifest_words",
    "output_words",
    "sample_advice",
    "explanation",
    "generations",
    "generation_2_manifests",
    "generation_2_samples",
    "silent_tasks",
    "images",
    "meta_keys",
    "model_words",
    "known_words",
    "packed_corpora",
    "fixes",
    "packaging_advice",
    "slurm_jobs",
    "signatures",
    "signature_match",
    "web_form",
    "form_words",
    "form_limit_words",
    "samples_making",
    "every_argument",
)
"""The test files that judge within their own process, nearly all without installing anything."""
DECLARED = "tests/test_registry.py::"
"""The tests about what all modules declare, which a fault at import may break."""
MOST_SECONDS = 30.0
"""How long the tests of one mutant may take, by what they took without it."""


def main() -> int:
    """Returns 1 when mutants survive."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--count", type=int, help="how many; by default, all of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("modules", nargs="*", default=MODULES)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="mutation-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        tree = folder / "tree"
        if not tree.exists():
            _copy(tree)
            _measure(tree)
        package = tree / "pytest_fractal"
        modules = sorted({path for name in options.modules for path in package.glob(name)})
        mutants = [
            mutant
            for module in modules
            for mutant in mutants_of(str(module.relative_to(tree)), module.read_text("utf-8"))
        ]
        random.Random(options.seed).shuffle(mutants)
        chosen = [*islice((found for found in mutants if _is_fault(found, tree)), options.count)]
        print(f"{len(chosen)} of {len(mutants)} mutants are tried", flush=True)
        return _try(chosen, tree, folder / "outcomes.jsonl")


def _copy(tree: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _measure(tree: Path) -> None:
    """Run the tests once: which lines each executes, and how long it takes."""
    tests = [f"tests/test_{name}.py" for name in TESTS]
    there = [name for name in tests if (tree / name).is_file()]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *there]
    command += ["--cov=pytest_fractal", "--cov-context=test", "--cov-report="]
    command += ["--junit-xml=tests.xml", "-o", "junit_family=xunit1"]
    print("measuring which tests execute what", flush=True)
    variables = {**os.environ, "PYTHONPATH": str(tree)}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(command, cwd=tree, env=variables, check=False)
    # That a source has changed is seen by its hash: times are too coarse.
    for part in ("pytest_fractal", "docs"):
        compileall.compile_dir(
            tree / part, quiet=1, force=True, invalidation_mode=PycInvalidationMode.CHECKED_HASH
        )


def _is_fault(mutant: Mutant, tree: Path) -> bool:
    """Whether it compiles, and changes anything.

    Operators are taken for those of a number where they unpack; that is no fault to notice.
    """
    source = (tree / mutant.module).read_text("utf-8")
    changed = mutated(mutant, source)
    try:
        warnings.simplefilter("ignore", SyntaxWarning)
        compile(changed, mutant.module, "exec")
    except SyntaxError:
        return False
    return not changes_nothing(source, changed)


def _try(mutants: Sequence[Mutant], tree: Path, outcomes: Path) -> int:
    known: dict[str, str] = {}
    if outcomes.exists():
        lines = outcomes.read_text("utf-8").splitlines()
        known = {entry["mutant"]: entry["outcome"] for entry in map(json.loads, lines)}
    covering = _Coverage(tree)
    _import_the_rest()
    total: Counter[str] = Counter()
    for mutant in mutants:
        if mutant.name not in known:
            known[mutant.name] = _outcome(mutant, tree, covering.tests(mutant))
            with outcomes.open("a", encoding="utf-8") as log:
                entry = {"mutant": mutant.name, "outcome": known[mutant.name]}
                log.write(json.dumps(entry) + "\n")
        outcome = known[mutant.name]
        total[outcome] += 1
        if outcome != "killed":
            text = (tree / mutant.module).read_text("utf-8").splitlines()[mutant.line - 1]
            print(f"{outcome}: {mutant.name}: {text.strip()}", flush=True)
    killed = total["killed"]
    print(f"{killed} of {len(mutants)} killed, {killed / max(len(mutants), 1):.1%}: {dict(total)}")
    return int(killed < len(mutants))


class _Coverage:
    """Which tests execute a line, the quickest first."""

    def __init__(self, tree: Path) -> None:
        from xml.etree import ElementTree

        from coverage import CoverageData

        self._tree = tree
        self._data = CoverageData(str(tree / ".coverage"))
        self._data.read()
        self._seconds: dict[str, float] = {}
        for case in ElementTree.parse(tree / "tests.xml").iter("testcase"):
            if case.find("failure") is None and case.find("skipped") is None:
                name = f"{case.attrib['file']}::{case.attrib['name']}"
                self._seconds[name] = float(case.attrib["time"])
        self._lines: dict[str, Mapping[int, Sequence[str]]] = {}

    def tests(self, mutant: Mutant) -> list[str]:
        """The node ids, up to a sum of seconds."""
        at_import, _ = outline(self._tree / mutant.module)
        lines = self._contexts(mutant.module)
        if mutant.line in at_import:
            found = {test for tests in lines.values() for test in tests}
            found |= {test for test in self._seconds if test.startswith(DECLARED)}
        else:
            found = set(lines.get(mutant.line, ()))
        chosen: list[str] = []
        sum_of_seconds = 0.0
        for test in sorted(found & self._seconds.keys(), key=self._seconds.__getitem__):
            sum_of_seconds += self._seconds[test]
            if sum_of_seconds > MOST_SECONDS and chosen:
                break
            chosen.append(test)
        return chosen

    def _of(self, context: str) -> Iterable[str]:
        """The test of a context; of what was made to be shared, all tests of its file."""
        test, _, phase = context.rpartition("|")
        if phase != "setup":
            return (test,)
        file = test.partition("::")[0]
        return (name for name in self._seconds if name.startswith(f"{file}::"))

    def _contexts(self, module: str) -> Mapping[int, Sequence[str]]:
        if module not in self._lines:
            by_line: dict[int, set[str]] = defaultdict(set)
            for line, names in self._data.contexts_by_lineno(str(self._tree / module)).items():
                by_line[line] |= {test for name in names if name for test in self._of(name)}
            # A statement of several lines is known by its first.
            _, within = outline(self._tree / module)
            last: set[str] = set()
            for line in range(1, max([0, *within]) + 1):
                last = by_line.get(line, last) if line in within else set()
                by_line[line] = by_line.get(line) or last
            self._lines[module] = {line: sorted(names) for line, names in by_line.items()}
        return self._lines[module]


def _outcome(mutant: Mutant, tree: Path, tests: Sequence[str]) -> str:
    if not tests:
        return "not executed"
    module = tree / mutant.module
    source = module.read_text("utf-8")
    module.write_text(mutated(mutant, source), "utf-8")
    try:
        child = os.fork()
        if child == 0:
            os.setsid()
            os._exit(_run(tree, tests))
        return _wait(child, 10 * MOST_SECONDS)
    finally:
        module.write_text(source, "utf-8")


def _run(tree: Path, tests: Sequence[str]) -> int:
    import pytest

    sys.dont_write_bytecode = True
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    sys.path.insert(0, str(tree))
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:cov", *tests]))


def _wait(child: int, limit: float) -> str:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _import_the_rest() -> None:
    """Import what the tests do, of others: each fork would do it anew."""
    for name in ("pytest", "pytest_fractal.engine", "pytest_fractal.rules", "pytest_fractal.api"):
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytest_fractal"]:
        del sys.modules[name]


if __name__ == "__main__":
    sys.exit(main())
