"""`--fractal-explain`: one rule in a terminal."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pytest_fractal.errors import BadInput
from pytest_fractal.report.explanation import explanation
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.rules.observed import observations
from pytest_fractal.rules.registry import DOCUMENTATION, look_up

RULES = pytest.mark.parametrize("rule", REGISTRY.values(), ids=REGISTRY.keys())


def words(text: str) -> str:
    return " ".join(text.split())


@RULES
@pytest.mark.parametrize("width", [20, 60, 200])
def test_all_that_is_known_of_a_rule_is_reported_within_the_width(rule: Rule, width: int) -> None:
    reported = explanation(rule, width)
    lines = reported.splitlines()
    assert lines[0].startswith(f"{rule.code} {rule.name}  {rule.severity}")
    for part in (rule.title, rule.rationale, rule.example, rule.fix, rule.page, *rule.cite):
        assert words(part) in words(reported)
    for seen in observations().get(rule.code, ()):
        met = f"fractal-server {seen.server}, given {seen.package}: {seen.reaction}"
        assert words(reported).count(words(met)) == 1
    for code in rule.needs:
        assert f"{code} {REGISTRY[code].name}" in words(reported)
    widest = max(40, min(width, 96))
    for line in lines[1:]:
        assert len(line) <= widest or len(line.split()) == 1 or "fractal" in line, line


def test_colours_are_for_terminals_alone() -> None:
    plain, colored = (
        explanation(REGISTRY["FR205"], 80, colored=is_plain) for is_plain in (False, True)
    )
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain
    assert "\x1b[1mFR205 reserved-arguments\x1b[0m  \x1b[1;31merror\x1b[0m" in colored


@pytest.mark.parametrize("text", ["FR205", "fr205", " FR205 ", "reserved-arguments"])
def test_a_rule_is_found_by_code_or_name(text: str) -> None:
    assert look_up(text) is REGISTRY["FR205"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("reserved_arguments", "FR205 reserved-arguments"),
        ("reserved-argument", "FR205 reserved-arguments"),
        ("FR-205", "FR205 reserved-arguments"),
        ("FR20", "FR205 reserved-arguments"),
        ("single manifest", "FR103 single-manifest"),
        ("arguments", "FR205 reserved-arguments"),
        ("installed", "FR002 installs"),
    ],
)
def test_of_a_near_miss_it_says_what_may_have_been_meant(text: str, meant: str) -> None:
    with pytest.raises(BadInput, match="did you mean") as refused:
        look_up(text)
    assert str(refused.value).startswith(f"{text}: no rule has this code or name; ")
    assert meant in str(refused.value)


def test_what_is_like_no_rule_gets_no_guesses() -> None:
    with pytest.raises(BadInput) as refused:
        look_up("xyzzy")
    assert str(refused.value) == (
        "xyzzy: no rule has this code or name; --fractal-rules lists them all"
    )


@pytest.mark.parametrize("color", ["yes", "no"])
def test_the_option_colours_as_pytest_does(pytester: pytest.Pytester, color: str) -> None:
    reported = pytester.runpytest("--fractal-explain=reserved-arguments", f"--color={color}")
    assert reported.ret == 0
    assert ("\x1b[1m" in reported.stdout.str()) == (color == "yes")


def test_links_lead_to_the_documentation_that_the_project_names() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Documentation"] == DOCUMENTATION
    assert REGISTRY["FR205"].page == f"{DOCUMENTATION}rules/FR205/"
