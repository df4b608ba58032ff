"""FR301-FR305 on commands that are made with a library, or need one."""

from __future__ import annotations

from textwrap import dedent

import pytest
from command_kinds import (
    FUNCTION,
    GOOD,
    LENIENT,
    NOT_STARTING,
    NOT_TAKING,
    PARSE,
    USUAL,
    Kind,
    check,
    judged,
    named,
    starts_of,
)

from pytest_fractal.report.model import CandidateReport

LIBRARIES = [
    Kind(
        "module_of_an_extra",
        NOT_STARTING,
        "import cv2\n" + USUAL,
        "the extra [vision] brings opencv-python-headless",
    ),
    Kind(
        "click_usual",
        GOOD,
        FUNCTION
        + dedent("""
        import click
        @click.command()
        @click.option("-j", "--json", "args", required=True, type=click.Path(exists=True))
        @click.option("--metadata-out", required=True, type=click.Path())
        def command(args, metadata_out):
            work(args, metadata_out)
        command()
        """),
    ),
    Kind(
        "click_file",
        GOOD,
        FUNCTION
        + dedent("""
        import click
        @click.command()
        @click.option("-j", "--json", "args", required=True, type=click.File())
        @click.option("--metadata-out", required=True, type=click.File("w"))
        def command(args, metadata_out):
            json.dump(main(**json.load(args)), metadata_out)
        command()
        """),
    ),
    Kind(
        "click_no_output_option",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import click
        @click.command()
        @click.option("-j", "--json", "args", required=True, type=click.File())
        def command(args):
            main(**json.load(args))
        command()
        """),
        "takes -j, but refuses --metadata-out",
    ),
    Kind(
        "click_similar_output_option",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import click
        @click.command()
        @click.option("-j", "--json", "args", required=True, type=click.File())
        @click.option("--metadata-output", required=True, type=click.Path())
        def command(args, metadata_output):
            main(**json.load(args))
        command()
        """),
    ),
    Kind(
        "click_long_option_only",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import click
        @click.command()
        @click.option("--json", "args", required=True, type=click.File())
        @click.option("--metadata-out", required=True, type=click.Path())
        def command(args, metadata_out):
            main(**json.load(args))
        command()
        """),
        "`--json ARGS.json --metadata-out OUT.json`",
    ),
    Kind(
        "typer_usual",
        GOOD,
        FUNCTION
        + dedent("""
        import typer
        from typer import Option
        def command(args: str = Option(..., "-j"), metadata_out: str = Option(...)):
            work(args, metadata_out)
        typer.run(command)
        """),
    ),
    Kind(
        "typer_rich_traceback_no_gpu",
        NOT_STARTING,
        dedent("""
        import typer
        app = typer.Typer()
        @app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
        def command():
            raise RuntimeError("no GPU")
        app()
        """),
        "no GPU",
    ),
    Kind(
        "typer_no_output_option",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import typer
        def command(json_file: str = typer.Option(..., "-j")):
            main(**json.load(open(json_file)))
        typer.run(command)
        """),
        "takes -j, but refuses --metadata-out",
    ),
    Kind(
        "typer_long_option_only",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import typer
        def command(json: str = typer.Option(...), metadata_out: str = typer.Option(...)):
            work(json, metadata_out)
        typer.run(command)
        """),
        "`--json ARGS.json --metadata-out OUT.json`",
    ),
    Kind(
        "fire_usual",
        GOOD,
        FUNCTION
        + dedent("""
        import fire
        def command(j, metadata_out):
            work(j, metadata_out)
        fire.Fire(command)
        """),
    ),
    # fire calls the function before it looks at what is left: only good arguments tell.
    Kind(
        "fire_no_output_option",
        GOOD,
        FUNCTION
        + dedent("""
        import fire
        def command(j):
            main(**json.load(open(j)))
        fire.Fire(command)
        """),
    ),
    Kind(
        "pydantic_ignores_unknown",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        from pydantic import BaseModel
        class Arguments(BaseModel):
            number: int
            output_path: str
        Arguments(**json.load(open(options.json)))
        """),
        "pytest_fractal_unknown_argument",
    ),
    Kind(
        "pydantic_forbids_unknown",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        from pydantic import BaseModel
        class Arguments(BaseModel, extra="forbid"):
            input_paths: list
            output_path: str
            metadata: dict
            number: int
        Arguments(**json.load(open(options.json)))
        """),
    ),
    Kind(
        "pydantic_call",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        from pydantic import validate_call
        validate_call(main)(**json.load(open(options.json)))
        """),
    ),
]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    needs = [f"Requires-Dist: {name}" for name in ("click", "typer", "fire", "pydantic>=2")]
    needs += ["Provides-Extra: vision"]
    needs += ["Requires-Dist: opencv-python-headless; extra == 'vision'"]
    return judged(tmp_path_factory.mktemp("libraries"), LIBRARIES, "\n".join(needs))


@named(LIBRARIES)
def test_each_library_is_judged_by_what_it_does(libraries: CandidateReport, kind: Kind) -> None:
    check(libraries.verdicts, kind)


def test_a_refusal_that_tells_both_reasons_needs_two_starts(libraries: CandidateReport) -> None:
    assert starts_of(libraries, "pydantic_call") == 2
