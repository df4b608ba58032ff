"""The documents follow from the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build_site
import generate
import kept_findings
import pages
import pytest
import screenshots
import yaml

from pytest_fractal import check_package
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.observed import observations
from pytest_fractal.server.releases import TRIED

ROOT = Path(__file__).parent.parent


def test_the_generated_documents_are_up_to_date() -> None:
    for path, text in generate.contents().items():
        assert path.read_text("utf-8") == text, f"run python docs/generate.py for {path.name}"


def test_every_option_is_in_the_readme(pytester: pytest.Pytester) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = pytester.runpytest("--help").stdout.str()
    options = {word.partition("=")[0] for word in shown.split() if word.startswith("--fractal-")}
    assert len(options) > 10
    for option in options:
        assert f"`{option}" in readme


def test_the_layout_in_the_architecture_names_every_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for path in (ROOT / "pytest_fractal").rglob("*.py"):
        if path.name != "__init__.py" or path.parent.name == "pytest_fractal":
            assert path.name in text, f"docs/architecture.md does not say what {path.name} is for"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built as it is published, in a process of its own."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "build_site.py", out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_rule_has_its_page_where_the_tool_sends_its_readers(site: Path) -> None:
    for rule in REGISTRY.values():
        page = site / rule.page.removeprefix(build_site.BASE) / "index.html"
        text = page.read_text("utf-8")
        assert rule.name in text
        assert "pytest-fractal says of it" in text


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h1 id="there">x</h1>')
    (tmp_path / "index.html").write_text(
        '<a href="other/#there">1</a> <a href="other/#gone">2</a> <a href="gone/">3</a>'
        '<img src="gone.png"> <a href="https://example.org/">4</a> <a href="#gone">5</a>'
    )
    broken = [link for _, link in build_site.broken_links(tmp_path)]
    assert broken == ["other/#gone", "gone/", "gone.png", "#gone"]


def test_every_rule_has_kept_findings_of_its_own_bad_package() -> None:
    for code in REGISTRY:
        findings = kept_findings.kept(code)
        assert findings, f"run python docs/kept_findings.py {code}"
        for found in findings:
            assert found.expected
            assert found.hint
            assert not re.search(r"[\s\"'`(]/(tmp|home|root|work)/", f"{found}")


def test_what_servers_did_is_listed_for_rules_that_there_are() -> None:
    assert set(observations()) <= set(REGISTRY)
    for seen in observations().values():
        for observation in seen:
            assert observation.server in TRIED
            assert observation.package
            assert observation.reaction


def test_every_bad_package_says_in_words_what_is_wrong_with_it() -> None:
    for folder in sorted((ROOT / "bad_packages").iterdir()):
        assert pages.about(folder).endswith("."), folder.name


def examples() -> list[tuple[str, str]]:
    found = []
    for file in (ROOT / "README.md", ROOT / "docs" / "action.md"):
        blocks = re.findall(r"^```yaml\n(.*?)^```", file.read_text("utf-8"), re.M | re.S)
        found += [(f"{file.name}-{number}", text) for number, text in enumerate(blocks)]
    return found


@pytest.mark.parametrize("text", [text for _, text in examples()], ids=[n for n, _ in examples()])
def test_an_example_to_copy_is_valid_and_gives_inputs_that_there_are(
    tmp_path: Path, text: str
) -> None:
    loaded = yaml.safe_load(text)
    schema = "vendor.github-workflows" if "jobs" in loaded else "vendor.gitlab-ci"
    file = tmp_path / "example.yml"
    file.write_text(text, "utf-8")
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", schema, file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    for job in loaded.get("jobs", {}).values():
        steps: list[dict[str, Any]] = job.get("steps", [])
        for step in steps:
            if step["uses"].startswith("OWNER/pytest-fractal@"):
                assert set(step.get("with", {})) <= set(action["inputs"])
        used = re.findall(r"steps\.fractal\.outputs\.([\w-]+)", str(job))
        assert set(used) <= set(action["outputs"])


def test_the_action_is_reported_whole() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    text = (ROOT / "docs" / "action.md").read_text("utf-8")
    for name in (*action["inputs"], *action["outputs"]):
        assert f"`{name}`" in text


@pytest.mark.usefixtures("any_environment")
@pytest.mark.parametrize(
    ("source", "patch"),
    [pytest.param(*walk, id=walk[0].name) for walk in screenshots.patches()],
)
def test_each_patch_of_the_walkthrough_mends_its_package(
    tmp_path: Path, source: Path, patch: str
) -> None:
    package = screenshots.fixed(source, patch, tmp_path)
    report = check_package(package, jobs=1)
    assert report.passed
    assert report.candidates[0].summary["pass"] > 30


def test_the_pages_have_their_pictures() -> None:
    assert len(list(screenshots.patches())) == 3
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"\(images/([\w-]+\.png)\)", pages))
    assert named == {path.name for path in screenshots.IMAGES.iterdir()}
    for path in screenshots.IMAGES.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def messages() -> Iterator[tuple[str, str]]:
    """Every text in the code that may get to a user, with its file."""
    for path in sorted((ROOT / "pytest_fractal").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield path.name, ast.unparse(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


def test_what_messages_point_to_is_on_the_site(site: Path) -> None:
    """No file of the repository: who has the wheel alone has none of them."""
    pages = set()
    for _, text in messages():
        pages.update(re.findall(r"\{DOCUMENTATION\}([\w-]+/)", text))
    assert pages >= {"samples/", "rules/"}
    for page in pages:
        assert (site / page / "index.html").is_file() or (site / page).is_dir(), page


def test_no_message_points_to_a_file_of_the_repository() -> None:
    code = {"html_page.py", "report.schema.json"}
    for file, text in messages():
        is_docstring = "\n" in text or text.endswith(".")
        if file not in code and not is_docstring:
            assert not re.search(r"\bdocs/\w+\.md", text), (file, text)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", without_code, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "file", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda file: file.name
)
def test_every_link_of_a_document_leads_somewhere_in_the_repository_too(file: Path) -> None:
    text = re.sub(r"^```.*?^```", "", file.read_text("utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link
