"""Runs the steps of a composite action as GitHub's runner does, as far as ours needs it.

`run` steps are really executed, by bash with the runner's own flags. `uses` steps are
not: what they were given is kept, and `setup-python` answers with an interpreter of this
machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<operator>==|!=|&&|\|\||[!()])|(?P<name>[\w.-]+))"
)


class Expression:
    """GitHub's expressions: names, texts, `==`, `!=`, `&&`, `||`, `!` and status functions."""

    def __init__(self, source: str, names: Mapping[str, str], cancelled: bool = False) -> None:
        self.tokens = [found for found in _TOKEN.finditer(source) if found[0].strip()]
        assert "".join(found[0] for found in self.tokens).strip() == source.strip(), source
        self.names = names
        self.cancelled = cancelled

    def value(self) -> Any:
        result = self._any()
        assert not self.tokens
        return result

    def _any(self) -> Any:
        left = self._all()
        while self._take("||"):
            right = self._all()
            left = left or right
        return left

    def _all(self) -> Any:
        left = self._comparison()
        while self._take("&&"):
            right = self._comparison()
            left = left and right
        return left

    def _comparison(self) -> Any:
        left = self._one()
        if self._take("=="):
            return left == self._one()
        if self._take("!="):
            return left != self._one()
        return left

    def _one(self) -> Any:
        if self._take("!"):
            return not self._one()
        if self._take("("):
            inner = self._any()
            assert self._take(")")
            return inner
        token = self.tokens.pop(0)
        if token["text"]:
            return token["text"][1:-1].replace("''", "'")
        if token["name"] == "cancelled":
            assert self._take("(")
            assert self._take(")")
            return self.cancelled
        context = token["name"].partition(".")[0]
        assert context in ("inputs", "steps", "matrix"), token["name"]
        return self.names.get(token["name"], "")

    def _take(self, operator: str) -> bool:
        if self.tokens and self.tokens[0]["operator"] == operator:
            self.tokens.pop(0)
            return True
        return False


def fill(text: str, names: Mapping[str, str]) -> str:
    """`text` with its expressions replaced by their values."""

    def replace(found: re.Match[str]) -> str:
        value = Expression(found[1], names).value()
        return str(value).lower() if isinstance(value, bool) else str(value)

    return re.sub(r"\$\{\{(.*?)\}\}", replace, text, flags=re.DOTALL)


def read_outputs(file: Path) -> dict[str, str]:
    """What a step has written into GITHUB_OUTPUT."""
    lines = file.read_text("utf-8").split("\n") if file.is_file() else []
    outputs: dict[str, str] = {}
    while lines:
        line = lines.pop(0)
        if "<<" in line.partition("=")[0]:
            name, _, end = line.partition("<<")
            at = lines.index(end)
            outputs[name] = "\n".join(lines[:at])
            del lines[: at + 1]
        elif line:
            name, _, outputs[name] = line.partition("=")
    return outputs


@dataclass
class Job:
    """One job in `workspace` that uses the action once, with everything that comes of it."""

    workspace: Path
    temporary: Path
    python: Callable[[str], Path | None] = lambda _: Path(sys.executable)
    """The interpreter that setup-python would find for a version; None if there is none."""
    log: str = ""
    status: int = 0
    """Exit status of the step that failed first; 0 when none has."""
    used: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """By action, what it was given at each use."""
    names: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    """The action's own outputs."""

    @property
    def summary(self) -> str:
        file = self.temporary / "summary.md"
        return file.read_text("utf-8") if file.is_file() else ""

    def run(self, inputs: Mapping[str, str]) -> Job:
        """Run the action with these inputs."""
        action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
        assert set(inputs) <= set(action["inputs"])
        self.temporary.mkdir(exist_ok=True)
        given = {name: input_["default"] for name, input_ in action["inputs"].items()} | dict(
            inputs
        )
        self.names = {f"inputs.{name}": value for name, value in given.items()}
        for number, step in enumerate(action["runs"]["steps"]):
            self._step(step, self.temporary / f"output-{number}")
        self.outputs = {
            name: fill(output["value"], self.names) for name, output in action["outputs"].items()
        }
        return self

    def _step(self, step: Mapping[str, Any], output: Path) -> None:
        condition = step.get("if", "")
        always = "cancelled()" in condition
        inner = condition.strip().removeprefix("${{").removesuffix("}}")
        if (self.status and not always) or (inner and not Expression(inner, self.names).value()):
            return
        if "uses" in step:
            given = {
                name: fill(value, self.names) if isinstance(value, str) else str(value).lower()
                for name, value in step.get("with", {}).items()
            }
            name = step["uses"].partition("@")[0]
            self.used.setdefault(name, []).append(given)
            outputs = self._used(name, given)
        else:
            self._execute(step, output)
            outputs = read_outputs(output)
        if "id" in step:
            for name, value in outputs.items():
                self.names[f"steps.{step['id']}.outputs.{name}"] = value

    def _used(self, name: str, given: Mapping[str, str]) -> dict[str, str]:
        if name == "actions/setup-python":
            found = self.python(given["python-version"])
            if found is None:
                self.status = self.status or 1
                return {}
            return {"python-path": str(found)}
        if name == "actions/upload-artifact":
            assert Path(given["path"]).exists()
        return {}

    def _execute(self, step: Mapping[str, Any], output: Path) -> None:
        assert step["shell"] == "bash"
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "GITHUB_", "RUNNER_", "FRACTAL_", "COV_"))
        }
        env |= {name: fill(value, self.names) for name, value in step.get("env", {}).items()}
        env |= {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.temporary / "summary.md"),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_ARCH": "X64",
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(self.temporary),
        }
        script = self.temporary / f"{output.name}.sh"
        script.write_text(fill(step["run"], self.names), "utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.workspace,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=300,
        )
        self.log += done.stdout
        self.status = self.status or done.returncode
