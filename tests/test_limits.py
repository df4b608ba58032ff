"""Whatever a manifest, a schema or an output is made of, judging it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from wheel_factory import broken, candidate_of, good_manifest, make_wheel, verdicts

from pytest_fractal.candidate.sample_runs import SampleRuns
from pytest_fractal.engine import Engine
from pytest_fractal.errors import HarnessError
from pytest_fractal.generations import VERSION_1
from pytest_fractal.json_text import MOST_BYTES, MOST_LEVELS
from pytest_fractal.rules.form_drawing import undrawn
from pytest_fractal.samples.generated import make_arguments
from pytest_fractal.schema_checks.client import OverLimit, first_match, refusal
from pytest_fractal.verdicts import Outcome

ENDLESS = "^(a+)+b$"
FIRST = {"$ref": "#/$defs/d0"}
LEVELS = 30


def shared(keyword: str, last: Any) -> dict[str, Any]:
    """Thirty definitions, each of which refers to the next one twice: 2^30 ways to the last."""
    definitions: dict[str, Any] = {f"d{LEVELS}": last}
    for level in range(LEVELS):
        below = {"$ref": f"#/$defs/d{level + 1}"}
        definitions[f"d{level}"] = (
            {"type": "object", "properties": {"a": below, "b": below}, "required": ["a", "b"]}
            if keyword == "properties"
            else {keyword: [below, below]}
        )
    return definitions


def manifest(argument: Any, definitions: Mapping[str, Any] = {}) -> dict[str, Any]:
    """The good manifest with one more argument, which is required."""
    made = good_manifest()
    schema = made["task_list"][0]["args_schema"]
    schema["properties"]["a"] = argument
    schema["required"].append("a")
    schema["$defs"] = dict(definitions)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return made


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "properties"])
def test_parts_that_are_shared_are_gone_through_once(tmp_path: Path, keyword: str) -> None:
    """And the answer is the right one: the default is refused by what all of them lead to."""
    definitions = shared(keyword, {"type": "integer"})
    wheel = make_wheel(tmp_path, manifest=manifest({**FIRST, "default": "x"}, definitions))
    assert broken(wheel, "FR207") == [
        ("FR207", "demo_task", "/task_list/0/args_schema/properties/a/default")
    ]


@pytest.mark.parametrize("keyword", ["allOf", "oneOf", "properties"])
def test_forms_are_drawn_of_shared_parts_once(keyword: str) -> None:
    """And the last part is still reached: no form is drawn for it."""
    schema = {
        "type": "object",
        "properties": {"a": FIRST},
        "$defs": shared(keyword, {"type": "object", "required": ["a"], "format": "odd"}),
    }
    found = {limitation.keys[-1] for limitation in undrawn(schema, (), is_draft_7=False)}
    assert found >= {"format", "required"}


def test_what_is_allowed_by_shared_parts_is_allowed(tmp_path: Path) -> None:
    definitions = shared("allOf", {"type": "integer"})
    wheel = make_wheel(tmp_path, manifest=manifest({**FIRST, "default": 1}, definitions))
    assert broken(wheel, "FR207", "FR208") == []


def test_the_same_mistake_in_two_places_is_reported_at_its_own() -> None:
    """What is known of a part is known of one value: the second place has its own."""
    schema = {
        "properties": {"a": FIRST, "b": FIRST},
        "$defs": {"d0": {"type": "object", "properties": {"x": {"type": "integer"}}}},
    }
    for keys in (("a",), ("b",)):
        reported = refusal(schema, {"a": {"x": 1}, "b": {"x": 1}} | {keys[0]: {"x": "1"}})
        assert reported is not None
        assert reported.keys == (*keys, "x")


@pytest.mark.parametrize(
    "argument",
    [
        {"type": "string", "pattern": ENDLESS, "default": "a" * 100},
        {"patternProperties": {ENDLESS: {}}, "default": {"a" * 100: 1}},
        {"propertyNames": {"pattern": ENDLESS}, "default": {"a" * 100: 1}},
        {
            "patternProperties": {ENDLESS: {}},
            "unevaluatedProperties": False,
            "default": {"a" * 100: 1},
        },
        {**FIRST, "unevaluatedProperties": False, "default": {"x": 1}},
    ],
)
def test_what_would_take_for_ever_is_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: dict[str, Any]
) -> None:
    monkeypatch.setattr("pytest_fractal.schema_checks.client._LONGEST", 0.2)
    made = manifest(argument, shared("allOf", {"type": "object"}))
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=made), "FR207")
    assert verdict.outcome is Outcome.SKIP
    assert (verdict.reason or "").startswith("applying the schema takes more than ")


def test_what_took_too_long_is_not_tried_again() -> None:
    slow = {"properties": {"b": {"pattern": ENDLESS}}}
    said = []
    for _ in range(3):
        with pytest.raises(OverLimit) as caught:
            refusal(slow, {"b": "a" * 100})
        said.append(str(caught.value))
    assert len(set(said)) == 1  # each try would have half the time of the one before


def test_after_an_answer_that_took_too_long_others_come_as_before() -> None:
    slow = {"properties": {"a": {"pattern": ENDLESS}}}
    with pytest.raises(OverLimit):
        refusal(slow, {"a": "a" * 100})
    assert refusal(slow, {"a": "ab"}) is None
    assert first_match(ENDLESS, ("a" * 100, "ab")) is None
    assert first_match("^b$", ("a", "b")) == 1


def test_the_helper_ends_with_a_process_that_is_killed() -> None:
    code = (
        "from pytest_fractal.schema_checks import client; import time\n"
        "client.first_match('a', ('a',))\n"
        "print(client._HELPER._process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        helper = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    while _is_alive(helper):  # for ever, if it stays: the test run's own limit tells
        time.sleep(0.05)


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{number}/stat")
    try:
        return not status.exists() or ") Z " not in status.read_text()
    except OSError:
        return False


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "properties"])
def test_arguments_are_made_of_shared_parts(keyword: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": FIRST},
        "required": ["a"],
        "$defs": shared(keyword, {"type": "string"}),
    }
    made = make_arguments(schema)
    assert made == {"a": "text"} or keyword == "properties"
    assert len(json.dumps(made)) < 100_000


def test_what_is_made_has_a_limit() -> None:
    many: dict[str, Any] = {"type": "string", "default": "x" * 1000}
    for _ in range(4):
        many = {"type": "array", "items": many, "minItems": 100}
    made = make_arguments({"type": "object", "properties": {"a": many}, "required": ["a"]})
    assert 100_000 < len(json.dumps(made)) < 1_500_000


def test_chains_of_references_are_followed_to_their_end() -> None:
    chain: dict[str, Any] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(1200)}
    chain["d1200"] = {"type": "integer"}
    schema = {"type": "object", "properties": {"a": FIRST}, "required": ["a"], "$defs": chain}
    assert make_arguments(schema) == {"a": 1}


def test_a_pattern_that_goes_back_and_forth_is_no_hindrance_to_planning(tmp_path: Path) -> None:
    made = manifest({"type": "string", "pattern": ENDLESS, "minLength": 200})
    wheel = make_wheel(tmp_path, manifest=made)
    assert [verdict.outcome for verdict in verdicts(wheel, "FR407")] == [Outcome.PASS]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 5000, 100_000])
def test_a_manifest_that_is_nested_too_deeply_is_one_finding(
    tmp_path: Path, opening: str, levels: int
) -> None:
    closing = "]" if opening == "[" else "}"
    inner = opening * levels + ("" if opening == "[" else "1") + closing * levels
    text = json.dumps({**good_manifest(), "x": "?"}).replace('"?"', inner)
    assert [code for code, _, _ in broken(make_wheel(tmp_path, manifest=text), "FR1")] == ["FR104"]


def test_a_default_that_is_nested_as_deeply_as_allowed_is_judged(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(VERSION_1.deepest - 5):
        deep = [deep]
    wheel = make_wheel(tmp_path, manifest=json.dumps(manifest({"type": "array", "default": deep})))
    assert {code for code, _, _ in broken(wheel, "FR1", "FR2")} == {"FR206"}


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    blanks = " " * (MOST_BYTES + 1)
    wheel = make_wheel(tmp_path, manifest=json.dumps(good_manifest()) + blanks)
    (verdict,) = verdicts(wheel, "FR104")
    (finding,) = verdict.findings
    assert finding.found == "it is too large: 8 MB, and 8 are allowed"


def test_a_fault_of_ours_while_planning_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a mistake")

    candidate = candidate_of(make_wheel(tmp_path))
    monkeypatch.setattr(SampleRuns, "of", fail)
    with pytest.raises(HarnessError, match="ZeroDivisionError: a mistake"):
        Engine(candidate).plan()


NASTY = """
import itertools, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from pytest_fractal.processes.tracebacks import read_crash, without_differences, words_of
from pytest_fractal.generations.links_v1 import problem_of_link
from pytest_fractal.json_text import read_json
from pytest_fractal.packaging_hints.patterns import globs, ignores
from pathlib import PurePosixPath

long = 100_000
nasty = [piece * (long // len(piece)) for piece in (
    "a", "A", "1", "-", "_", " ", "'", '"', "\\\\", "aaaa-", "A.", "a.", "/", "/ ", ":", "::", "@",
    'File "', 'File "a", line 1', '", line 1, in ', "Error", "AError: ", "Traceback (most recent ",
    "[", "(", "*", "*a", "\\n", "\\t\\n",
    "**/", "**/a", "?", "[a-", "{", "http://", "a@", "\\u2500",
)]
nasty += [start + text + end for start, end in (
    ('  File "', '", line 1, in f'), ('File "x", line ', 'x'),
    ("Traceback (most recent call last)\\n", ""),
    ("ValueError: ", "'"), ("http://", ".org"), ("https://a:", "@b.org/"),
) for text in nasty]
for text in nasty:
    read_crash(text); read_crash("Traceback (most recent call last)\\n" + text + "\\n" + text)
    words_of(without_differences(text))
    problem_of_link(text[:3000]); problem_of_link("http://" + text[:2000])
    read_json(text.encode()); read_json(b'"' + text.encode() + b'"')
for text in ("*a" * 40 + "b", "**/" * 40 + "b", "[z-a]", "[", "*" * 100, "a" * 60_000):
    ignores(text, PurePosixPath("a" * 200)); globs(text, PurePosixPath("a/" * 100 + "c"))
"""


def test_what_reads_a_candidates_texts_takes_no_time_out_of_proportion() -> None:
    # Processor seconds, whatever else the machine does: it takes 4, and with one slow expression
    # some for each of a hundred texts, or hours.
    subprocess.run([sys.executable, "-c", NASTY], check=True)
