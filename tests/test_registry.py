"""Every rule says what it requires, why, and how to fix a package that breaks it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import pytest_fractal.generations
import pytest_fractal.rules
from pytest_fractal import engine, facts, verdicts
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.registry import GROUPS, Rule, rule
from pytest_fractal.rules.subjects import SCOPES
from pytest_fractal.verdicts import Finding

MODULES = [
    engine,
    facts,
    verdicts,
    *(
        importlib.import_module(found.name)
        for package in (pytest_fractal.rules, pytest_fractal.generations)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ),
]

RULES = pytest.mark.parametrize("rule", REGISTRY.values(), ids=REGISTRY.keys())


@RULES
def test_a_rule_explains_itself(rule: Rule) -> None:
    assert re.fullmatch(r"FR\d{3}", rule.code)
    assert rule.group in GROUPS
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert re.fullmatch(r"[A-Z`].+\.", rule.title), "one sentence, in one line"
    assert len(rule.rationale) > 30
    assert rule.cite
    assert all(source.strip() for source in rule.cite)
    assert rule.fix.strip().endswith(".")
    assert rule.example.strip()


@RULES
def test_a_rule_takes_facts_of_known_types(rule: Rule) -> None:
    assert rule.subjects
    assert set(rule.subjects) <= set(SCOPES)


@RULES
def test_prerequisites_exist_and_never_lead_back(rule: Rule) -> None:
    assert all(code in REGISTRY for code in rule.needs)

    def behind(code: str) -> Iterator[str]:
        for needed in REGISTRY[code].needs:
            yield needed
            yield from behind(needed)

    assert rule.code not in behind(rule.code)


def test_names_are_unique() -> None:
    names = [rule.name for rule in REGISTRY.values()]
    assert len(set(names)) == len(names)
    assert all(code == rule.code for code, rule in REGISTRY.items())


@pytest.mark.parametrize(
    ("code", "name"), [("FR101", "another-name"), ("FR199", "manifest-in-wheel")]
)
def test_a_code_or_name_that_is_taken_is_refused(code: str, name: str) -> None:
    def judge() -> Iterator[Finding]:
        """Nothing."""
        yield from ()

    before = dict(REGISTRY)
    with pytest.raises(ValueError, match="two rules"):
        rule(code, name, cite=("none",), fix="Nothing.", example="-")(judge)
    assert before == REGISTRY


def test_a_rule_may_need_each_of_a_kind_also_those_that_are_declared_later() -> None:
    def judge() -> Iterator[Finding]:
        """A rule of the tests."""
        yield from ()

    declared: dict[str, Rule] = {}
    for code, needs in (("FR901", ("FR001", lambda one: one.code > "FR901")), ("FR902", ())):
        declare = rule(
            code,
            f"rule-{code}",
            needs=needs,
            cite=("none",),
            fix="Nothing.",
            example="-",
            registry=declared,
        )
        declare(judge)
    assert declared["FR901"].needs == ("FR001", "FR902")
    assert REGISTRY["FR901"].needs == tuple(
        code for code, known in REGISTRY.items() if known.decides_collection
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_rules_share_cannot_be_changed(module: ModuleType) -> None:
    """Threads hand the same facts to many rules."""
    declared = [kind for kind in vars(module).values() if isinstance(kind, type)]
    for kind in declared:
        if dataclasses.is_dataclass(kind):
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]


def test_what_decides_about_the_collection_are_errors_on_package_manifest_and_schemas() -> None:
    """Not warnings (FR005, FR006), nor what only a form or a job minds (FR113, FR202, FR301)."""
    deciding = {rule.code for rule in REGISTRY.values() if rule.decides_collection}
    assert {"FR001", "FR002", "FR004", "FR101", "FR104", "FR106", "FR109", "FR201"} <= deciding
    assert deciding.isdisjoint({"FR005", "FR006", "FR113", "FR202", "FR301", "FR401", "FR901"})
