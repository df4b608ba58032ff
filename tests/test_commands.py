"""FR301-FR305 on commands of every kind, each judged by what its process does.

Every script is the executable of a task of its own; a few wheels, made by hand, hold
them all, so that there is nothing to build and few environments to make.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from wheel_factory import make_wheel

from pytest_fractal import check_package
from pytest_fractal.processes.commands import (
    Start,
)
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.reading import ReadWatch
from pytest_fractal.processes.tracebacks import read_crash
from pytest_fractal.report.model import CandidateReport

Outcomes = tuple[str, str, str, str]

GOOD: Outcomes = ("pass", "pass", "pass", "pass")
LENIENT: Outcomes = ("pass", "pass", "pass", "warn")
NEVER_WELL: Outcomes = ("pass", "pass", "pass", "blocked")
ALL_ALIKE: Outcomes = ("pass", "pass", "pass", "skip")
NOT_READING: Outcomes = ("pass", "pass", "fail", "blocked")
NOT_TAKING: Outcomes = ("pass", "fail", "blocked", "blocked")
NOT_STARTING: Outcomes = ("fail", "blocked", "blocked", "blocked")

SCHEMA = {
    "type": "object",
    "properties": {
        "input_paths": {"type": "array", "items": {"type": "string"}},
        "output_path": {"type": "string"},
        "metadata": {"type": "object"},
        "number": {"type": "integer"},
    },
    "required": ["input_paths", "output_path", "metadata", "number"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Kind:
    """One kind of command, and what the four rules say of it."""

    name: str
    outcomes: Outcomes
    script: str
    says: str = ""
    """What the finding must tell."""
    depends: str = "pass"
    """What FR305 says, where the file is read at all."""


# What most scripts are made of: the task's function, the usual parser, and the end.
FUNCTION = """
import argparse, json, os, sys
def main(*, input_paths, output_path, metadata, number):
    return {}
def work(args, out):
    with open(args) as file:
        arguments = json.load(file)
    with open(out, "w") as file:
        json.dump(main(**arguments), file)
"""
PARSE = """
parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()
"""
WORK = """
work(options.json, options.metadata_out)
"""
USUAL = FUNCTION + PARSE + WORK


def argparse_with(parser: str, then: str = WORK, parse: str = "parser.parse_args()") -> str:
    return f"{FUNCTION}{dedent(parser)}\noptions = {parse}\n{dedent(then)}"


def loop(body: str) -> str:
    return FUNCTION + "words = sys.argv[1:]\n" + dedent(body)


def reading(how: str) -> str:
    """The usual command, with another way of getting at the text of the file."""
    return FUNCTION + PARSE + "path = options.json\n" + dedent(how) + "main(**json.loads(text))\n"


PLAIN = [
    Kind("argparse_required", GOOD, USUAL),
    Kind(
        "argparse_not_required",
        GOOD,
        argparse_with("""
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", "--json")
        parser.add_argument("--metadata-out")
        """),
    ),
    Kind(
        "argparse_no_abbreviations",
        GOOD,
        argparse_with("""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("-j", required=True, dest="json")
        parser.add_argument("--metadata-out", required=True)
        """),
    ),
    Kind(
        "argparse_abbreviation",
        GOOD,
        argparse_with("""
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", required=True, dest="json")
        parser.add_argument("--metadata-out-file", required=True, dest="metadata_out")
        """),
    ),
    Kind(
        "argparse_json_only",
        NOT_TAKING,
        argparse_with("""
        parser = argparse.ArgumentParser()
        parser.add_argument("--json", required=True)
        parser.add_argument("--metadata-out", required=True)
        """),
        "`--json ARGS.json --metadata-out OUT.json`",
    ),
    Kind(
        "argparse_parse_known_args",
        GOOD,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", "--json", required=True)
        parser.add_argument("--metadata-out", required=True)
        """,
            parse="parser.parse_known_args()[0]",
        ),
    ),
    Kind(
        "argparse_reads_while_parsing_and_refuses_output",
        NOT_TAKING,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", required=True, type=lambda path: json.load(open(path)))
        """,
            "main(**options.j)",
        ),
        "refuses --metadata-out",
    ),
    Kind(
        "argparse_reads_while_parsing",
        GOOD,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", required=True, type=lambda path: json.load(open(path)))
        parser.add_argument("--metadata-out")
        """,
            "main(**options.j)",
        ),
    ),
    Kind(
        "argparse_no_output_option",
        NOT_TAKING,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", "--json", required=True)
        """,
            "main(**json.load(open(options.json)))",
        ),
        "takes -j, but refuses --metadata-out",
    ),
    Kind(
        "argparse_wants_another_option_too",
        NOT_TAKING,
        argparse_with("""
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", "--json", required=True)
        parser.add_argument("--metadata-out", required=True)
        parser.add_argument("--log-folder", required=True)
        """),
        "--log-folder",
    ),
    Kind(
        "argparse_json_text_not_file",
        NOT_READING,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", required=True, type=str)
        parser.add_argument("--metadata-out", required=True)
        """,
            "main(**json.loads(options.j))",
        ),
        "JSONDecodeError",
    ),
    Kind(
        "argparse_j_is_a_number",
        NOT_TAKING,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", type=int)
        parser.add_argument("--metadata-out")
        """,
            "print(options.j)",
        ),
        "invalid int value",
    ),
    Kind(
        "argparse_subcommand",
        NOT_TAKING,
        argparse_with("""
        parser = argparse.ArgumentParser()
        run = parser.add_subparsers(required=True).add_parser("run")
        run.add_argument("-j", "--json", required=True)
        run.add_argument("--metadata-out", required=True)
        """),
    ),
    Kind(
        "getopt_short",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import getopt
        found = dict(getopt.getopt(sys.argv[1:], "j:m:")[0])
        work(found["-j"], found["-m"])
        """),
    ),
    Kind(
        "getopt_long",
        GOOD,
        FUNCTION
        + dedent("""
        import getopt
        found = dict(getopt.getopt(sys.argv[1:], "j:", ["json=", "metadata-out="])[0])
        work(found["-j"], found["--metadata-out"])
        """),
    ),
    Kind(
        "getopt_output_refused",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        import getopt
        found = dict(getopt.getopt(sys.argv[1:], "j:")[0])
        work(found["-j"], "out.json")
        """),
    ),
    Kind(
        "optparse_usual",
        GOOD,
        FUNCTION
        + dedent("""
        from optparse import OptionParser
        parser = OptionParser()
        parser.add_option("-j", "--json")
        parser.add_option("--metadata-out")
        options, _ = parser.parse_args()
        """)
        + WORK,
    ),
    Kind(
        "optparse_generation_2",
        NOT_TAKING,
        FUNCTION
        + dedent("""
        from optparse import OptionParser
        parser = OptionParser()
        parser.add_option("--args-json")
        parser.add_option("--out-json")
        options, _ = parser.parse_args()
        work(options.args_json, options.out_json)
        """),
        "`--args-json ARGS.json --out-json OUT.json`",
    ),
    Kind(
        "loop_strict_order",
        GOOD,
        loop("""
        if len(words) != 4 or words[0] != "-j" or words[2] != "--metadata-out":
            sys.exit("usage: -j FILE --metadata-out FILE")
        work(words[1], words[3])
        """),
    ),
    Kind(
        "loop_other_strict_order",
        NOT_TAKING,
        loop("""
        if len(words) != 4 or words[2] != "-j" or words[0] != "--metadata-out":
            sys.exit("usage: --metadata-out FILE -j FILE")
        work(words[3], words[1])
        """),
    ),
    Kind(
        "loop_any_order",
        GOOD,
        loop("""
        found = dict(zip(words[::2], words[1::2]))
        work(found["-j"], found["--metadata-out"])
        """),
    ),
    Kind(
        "loop_ignoring_unknown",
        GOOD,
        loop("""
        path = words[words.index("-j") + 1] if "-j" in words else None
        main(**json.load(open(path)))
        """),
    ),
    Kind(
        "loop_refusing_with_2",
        NOT_TAKING,
        loop("""
        while words:
            word = words.pop(0)
            if word == "-j":
                path = words.pop(0)
            else:
                print("unknown:", word, file=sys.stderr)
                sys.exit(2)
        main(**json.load(open(path)))
        """),
        "takes -j, but refuses --metadata-out",
    ),
    Kind(
        "loop_refusing_with_exception",
        NOT_TAKING,
        loop("""
        for word in words:
            if word.startswith("-") and word not in ("--args", "--out"):
                raise ValueError("what is " + word)
        work(words[1], words[3])
        """),
    ),
    Kind(
        "loop_refusing_without_naming",
        NOT_TAKING,
        loop("""
        found = dict(zip(words[::2], words[1::2]))
        if set(found) != {"--args-json", "--out-json"}:
            raise ValueError("this is wrong")
        work(found["--args-json"], found["--out-json"])
        """),
        "`--args-json",
    ),
    Kind(
        "loop_key_error",
        NOT_TAKING,
        loop("""
        found = dict(zip(words[::2], words[1::2]))
        work(found["--arguments"], found["--output"])
        """),
        "'--arguments'",
    ),
    Kind(
        "loop_reading_at_once_then_refusing",
        NOT_TAKING,
        loop("""
        while words:
            word = words.pop(0)
            if word == "-j":
                arguments = json.load(open(words.pop(0)))
            else:
                sys.exit("unknown option " + word)
        main(**arguments)
        """),
        "refuses --metadata-out",
    ),
    Kind(
        "loop_reading_at_once_then_raising",
        NOT_TAKING,
        loop("""
        while words:
            word = words.pop(0)
            if word == "-j":
                arguments = json.load(open(words.pop(0)))
            else:
                raise ValueError("no metadata option is known as " + word)
        main(**arguments)
        """),
        "refuses --metadata-out",
    ),
    Kind(
        "equals_sign_only",
        NOT_TAKING,
        loop("""
        found = dict(word.split("=", 1) for word in words if "=" in word)
        if "--json" not in found:
            sys.exit("--json=FILE is missing")
        main(**json.load(open(found["--json"])))
        """),
        "`--json=ARGS.json",
    ),
    Kind(
        "generation_2",
        NOT_TAKING,
        argparse_with("""
        parser = argparse.ArgumentParser()
        parser.add_argument("--args-json", required=True, dest="json")
        parser.add_argument("--out-json", required=True, dest="metadata_out")
        """),
        "`--args-json ARGS.json --out-json OUT.json`",
    ),
    Kind(
        "positional_only",
        NOT_TAKING,
        loop("""
        if len(words) != 2:
            sys.exit("give two files")
        work(*words)
        """),
        "`ARGS.json OUT.json`",
    ),
    Kind("ignores_and_succeeds", NOT_READING, "print('done')\n", "exit status 0"),
    Kind("ignores_and_fails", NOT_STARTING, "import sys\nsys.exit(1)\n"),
    Kind("usage_and_success", NOT_TAKING, "print('usage: use me well')\n"),
    Kind(
        "usage_and_success_unless_positional",
        NOT_TAKING,
        loop("""
        if len(words) != 2:
            print("usage: ARGS OUT")
            sys.exit(0)
        work(*words)
        """),
        "`ARGS.json OUT.json`",
    ),
    Kind(
        "only_checks_existence",
        NOT_READING,
        FUNCTION
        + PARSE
        + dedent("""
        assert os.path.exists(options.json) and os.stat(options.json).st_size
        """),
    ),
    Kind("only_opens", NOT_READING, FUNCTION + PARSE + "open(options.json).close()\n"),
    Kind(
        "only_checks_existence_and_fails",
        NOT_READING,
        FUNCTION
        + PARSE
        + dedent("""
        if not os.path.isfile(options.json + ".gz"):
            sys.exit("not compressed")
        """),
        "not compressed",
    ),
    Kind(
        "reads_a_fixed_name",
        NOT_READING,
        FUNCTION
        + PARSE
        + dedent("""
        main(**json.load(open("arguments.json")))
        """),
        "FileNotFoundError",
    ),
    Kind(
        "reads_in_sh",
        GOOD,
        reading("""
        import subprocess
        command = ["sh", "-c", 'read -r line < "$0"; cat "$0"', path]
        text = subprocess.run(command, capture_output=True, text=True).stdout
        """),
    ),
    Kind(
        "reads_in_cat",
        GOOD,
        reading("""
        import subprocess
        text = subprocess.check_output(["cat", path], text=True)
        """),
    ),
    Kind(
        "reads_after_exec",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        code = "import json, sys; (lambda *, number: 0)(**json.load(open(sys.argv[1])))"
        os.execv(sys.executable, [sys.executable, "-c", code, options.json])
        """),
    ),
    Kind(
        "reads_as_module_in_a_subprocess",
        GOOD,
        dedent("""
        import subprocess, sys
        module = [sys.executable, "-m", "kinds.argparse_required"]
        sys.exit(subprocess.run([*module, *sys.argv[1:]]).returncode)
        """),
    ),
    Kind(
        "refuses_as_module_in_a_subprocess",
        NOT_TAKING,
        dedent("""
        import subprocess, sys
        module = [sys.executable, "-m", "kinds.loop_refusing_with_exception"]
        sys.exit(subprocess.run([*module, *sys.argv[1:]]).returncode)
        """),
    ),
    Kind(
        "reads_by_mmap",
        GOOD,
        reading("""
        import mmap
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as area:
            text = bytes(area).decode()
        """),
    ),
    Kind(
        "reads_by_pathlib",
        GOOD,
        reading("""
        from pathlib import Path
        text = Path(path).resolve().read_text()
        """),
    ),
    Kind(
        "reads_by_os",
        GOOD,
        reading("""
        text = os.read(os.open(path, os.O_RDONLY), 10**6).decode()
        """),
    ),
    Kind(
        "reads_a_copy",
        GOOD,
        reading("""
        import shutil
        text = open(shutil.copy(path, "copy.json")).read()
        """),
    ),
    Kind(
        "reads_a_moved_file",
        GOOD,
        reading("""
        os.rename(path, "moved.json")
        text = open("moved.json").read()
        """),
    ),
    Kind(
        "reads_through_a_link",
        GOOD,
        reading("""
        os.symlink(path, "link.json")
        text = open("link.json").read()
        """),
    ),
    Kind(
        "reads_in_a_thread",
        GOOD,
        reading("""
        from concurrent.futures import ThreadPoolExecutor
        text = ThreadPoolExecutor().submit(lambda: open(path).read()).result()
        """),
    ),
    Kind(
        "fails_for_empty_arguments",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        if not set(arguments) & {"number"}:
            sys.exit("no arguments")
        main(**arguments)
        """),
    ),
    Kind(
        "missing_module", NOT_STARTING, "import a_module_of_nobody\n" + USUAL, "a_module_of_nobody"
    ),
    Kind(
        "missing_module_later",
        NOT_STARTING,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        import a_module_of_nobody
        """),
        "a_module_of_nobody",
    ),
    Kind(
        "missing_variable",
        NOT_STARTING,
        "import os\nos.environ['OF_NOBODY']\n" + USUAL,
        "(kinds/missing_variable.py, line 2) | the environment variable 'OF_NOBODY'",
    ),
    Kind(
        "sched",
        NOT_STARTING,
        "import sched.nothing\n" + USUAL,
        "kinds/sched.py takes the place of the module 'sched' that is imported",
    ),
    Kind("missing_name", NOT_STARTING, "from kinds.helper import nothing\n" + USUAL, "nothing"),
    Kind(
        "attribute_error_in_module",
        NOT_STARTING,
        "import kinds.outdated\n" + USUAL,
        "kinds/outdated.py, line 2",
    ),
    Kind("attribute_error_in_script", NOT_STARTING, "import os\nos.nothing\n" + USUAL, "nothing"),
    Kind("syntax_error_in_script", NOT_STARTING, USUAL + "print 'done'\n", "SyntaxError"),
    Kind("syntax_error_in_module", NOT_STARTING, "import kinds.broken\n" + USUAL, "SyntaxError"),
    Kind("exception_in_package", NOT_STARTING, "import kinds.raising\n" + USUAL, "no licence"),
    Kind(
        "colorsys",
        NOT_STARTING,
        "from colorsys import rgb_to_hls\n" + USUAL,
        "kinds/colorsys.py takes the place of the module 'colorsys' that is imported",
    ),
    Kind("segfault_at_import", NOT_STARTING, "import kinds.crashing\n" + USUAL, "SIGSEGV"),
    Kind(
        "please_install",
        NOT_STARTING,
        dedent("""
        import sys
        try:
            import a_module_of_nobody
        except ImportError:
            sys.exit("please install it")
        """)
        + USUAL,
        "please install it",
    ),
    Kind(
        "optional_module_logged",
        GOOD,
        dedent("""
        import sys
        try:
            import a_module_of_nobody
        except ImportError as error:
            print(error, file=sys.stderr)
        """)
        + USUAL,
    ),
    Kind(
        "optional_module_logged_and_refusing",
        NOT_TAKING,
        dedent("""
        import logging
        try:
            import a_module_of_nobody
        except ImportError:
            logging.exception("optional")
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--input", required=True)
        parser.parse_args()
        """),
    ),
    Kind("no_gpu_before_arguments", NOT_STARTING, "raise RuntimeError('no GPU')\n", "no GPU"),
    Kind(
        "no_gpu_in_main_before_arguments",
        NOT_STARTING,
        FUNCTION
        + dedent("""
        def check():
            raise RuntimeError("no GPU")
        check()
        """)
        + PARSE
        + WORK,
        "no GPU",
    ),
    Kind(
        "no_gpu_after_parsing",
        NOT_READING,
        FUNCTION + PARSE + "raise RuntimeError('no GPU')\n",
        "no GPU",
    ),
    Kind(
        "no_gpu_after_reading",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        if set(json.load(open(options.json))) != {"number"}:
            raise RuntimeError("no GPU")
        """),
    ),
    Kind(
        "logs_its_command_line_before_no_gpu",
        NOT_STARTING,
        dedent("""
        import sys
        print(sys.argv, file=sys.stderr)
        raise RuntimeError("no GPU")
        """),
        "no GPU",
    ),
    Kind(
        "option_like_words",
        NOT_STARTING,
        dedent("""
        raise RuntimeError("the option --arch of -j needs an argument; see usage")
        """),
        "--arch",
    ),
    Kind(
        "missing_interpreter",
        NOT_STARTING,
        dedent("""
        import subprocess, sys
        sys.exit(subprocess.run(["sh", "-c", "exec a-program-of-nobody"]).returncode)
        """),
        "a-program-of-nobody",
    ),
    Kind(
        "missing_program",
        NOT_STARTING,
        dedent("""
        import subprocess, sys
        sys.exit(subprocess.run(["a-program-of-nobody", *sys.argv[1:]]).returncode)
        """),
        "a-program-of-nobody",
    ),
    Kind("prints_50_mb", GOOD, "for _ in range(800): print('spam ' * 13000)\n" + USUAL),
    Kind(
        "prints_50_mb_and_refuses",
        NOT_TAKING,
        "for _ in range(800): print('spam ' * 13000)\n"
        + argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", required=True, type=lambda path: json.load(open(path)))
        """,
            "main(**options.j)",
        ),
        "refuses --metadata-out",
    ),
    Kind(
        "leaves_a_child_behind",
        GOOD,
        dedent("""
        import subprocess
        subprocess.Popen(["sleep", "600"])
        """)
        + USUAL,
    ),
    Kind(
        "leaves_a_daemon_behind",
        GOOD,
        dedent("""
        import subprocess
        subprocess.Popen(["sleep", "15"], start_new_session=True)
        """)
        + USUAL,
    ),
    Kind(
        "makes_a_pipe_of_its_output",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        os.mkfifo(options.metadata_out)
        main(**json.load(open(options.json)))
        """),
    ),
    Kind(
        "reads_standard_input",
        NOT_READING,
        FUNCTION
        + PARSE
        + dedent("""
        main(**json.load(sys.stdin))
        """),
    ),
    Kind(
        "waits_for_an_answer",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        input("Go on? ")
        """),
    ),
    Kind(
        "random_words_and_good",
        GOOD,
        dedent("""
        import secrets, time, uuid
        print(uuid.uuid4(), time.time_ns(), secrets.token_hex(), object())
        """)
        + USUAL,
    ),
    Kind(
        "random_words_and_refusing",
        NOT_TAKING,
        dedent("""
        import secrets, sys, tempfile, time, uuid
        print(uuid.uuid4(), time.time_ns(), secrets.token_hex(), object(), file=sys.stderr)
        print({"some", "words", "in", "no", "order"}, file=sys.stderr)
        """)
        + argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", required=True, type=lambda path: json.load(open(path)))
        """,
            "main(**options.j)",
        ),
        "refuses --metadata-out",
    ),
    Kind(
        "random_words_and_no_gpu",
        NOT_STARTING,
        dedent("""
        import time, uuid
        print(uuid.uuid4(), time.time_ns(), object())
        raise RuntimeError(f"no GPU {uuid.uuid4()}")
        """),
        "no GPU",
    ),
    Kind(
        "logs_arguments_then_ignores_unknown",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        print("arguments:", arguments, file=sys.stderr)
        for name in ("input_paths", "output_path", "metadata", "number"):
            if name not in arguments:
                sys.exit("a required one is missing: " + name)
        """),
    ),
    Kind(
        "wraps_every_exception",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        try:
            main(**json.load(open(options.json)))
        except Exception:
            sys.exit("failed")
        """),
    ),
    Kind(
        "wraps_without_a_word",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        try:
            main(**json.load(open(options.json)))
        except Exception:
            sys.exit(1)
        """),
    ),
    Kind(
        "exits_with_3",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        try:
            main(**json.load(open(options.json)))
        except Exception as error:
            print(error)
            sys.exit(3)
        """),
    ),
    Kind(
        "kills_itself_when_wrong",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        try:
            main(**json.load(open(options.json)))
        except Exception:
            os.abort()
        """),
    ),
    Kind(
        "accepts_what_is_no_json",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        try:
            arguments = json.load(open(options.json))
        except ValueError:
            sys.exit(0)
        main(**arguments)
        """),
        "not JSON",
    ),
    Kind(
        "ignores_unknown",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        main(**{name: arguments[name] for name in main.__kwdefaults__ or SIGNATURE})
        """).replace("SIGNATURE", '("input_paths", "output_path", "metadata", "number")'),
        "pytest_fractal_unknown_argument",
    ),
    Kind(
        "ignores_unknown_and_dies_of_the_data",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        number, where = arguments["number"], arguments["output_path"]
        open(os.path.join(where, "plate.zarr", ".zattrs"))
        """),
        "as it does without it",
    ),
    Kind(
        "checks_unknown_itself",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        arguments["number"]
        if len(arguments) > 4:
            raise ValueError("too many arguments")
        open(os.path.join(arguments["output_path"], "plate.zarr", ".zattrs"))
        """),
    ),
    Kind(
        "accepts_missing_required",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        def lenient(input_paths=None, output_path=None, metadata=None, number=None):
            return {}
        lenient(**json.load(open(options.json)))
        """),
        "without any required one",
    ),
    Kind("accepts_everything", LENIENT, FUNCTION + PARSE + "open(options.json).read()\n"),
    Kind(
        "succeeds_although_it_failed",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        try:
            main(**json.load(open(options.json)))
        except Exception as error:
            print(error, file=sys.stderr)
        """),
    ),
    Kind(
        "echo_in_the_exception",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        if "number" not in arguments:
            raise ValueError(f"incomplete: {arguments}")
        """),
        "pytest_fractal_unknown_argument",
    ),
    Kind(
        "reader_shared_but_read_by_script_1",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        import kinds.worker
        kinds.worker.run(json.load(open(options.json)))
        """),
    ),
    Kind(
        "reader_shared_but_read_by_script_2",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import kinds.worker
        try:
            arguments = json.load(open(options.json))
        except ValueError:
            sys.exit(0)
        kinds.worker.run(arguments)
        """),
        "not JSON",
    ),
    Kind("no_main_guard_but_function", NOT_READING, FUNCTION, "output = main(**json.load(file))"),
    Kind(
        "by_position",
        GOOD,
        loop("""
        arguments = json.load(open(words[1]))
        if set(arguments) - {"input_paths", "output_path", "metadata", "number"}:
            sys.exit("there is an argument that nobody knows")
        main(**arguments)
        open(words[3], "w").write("{}")
        """),
    ),
    Kind(
        "by_position_and_always_the_same_words",
        GOOD,
        loop("""
        try:
            main(**json.load(open(words[1])), image=open("there/is/none"))
        except Exception:
            sys.exit("failed: " + words[3][:0])
        """),
    ),
    Kind(
        "argparse_optional_known_args",
        GOOD,
        argparse_with(
            """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", default="")
        parser.add_argument("--metadata-out", default="")
        """,
            """
            arguments = json.load(open(options.j))
            if len(arguments) != 4:
                sys.exit("refused")
            open(options.metadata_out, "w").write("{}")
            """,
            parse="parser.parse_known_args()[0]",
        ),
    ),
    Kind(
        "optional_module_logged_with_its_traceback",
        GOOD,
        dedent("""
        import logging
        try:
            import a_module_of_nobody
        except ImportError:
            logging.exception("no GPU, the slow way is taken")
        """)
        + FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        if len(arguments) != 4:
            sys.exit("refused")
        """),
    ),
    Kind(
        "optional_module_logged_and_then_without_a_word",
        GOOD,
        dedent("""
        import logging
        def gpu():
            try:
                import a_module_of_nobody
            except Exception:
                logging.exception("no GPU")
        gpu()
        """)
        + FUNCTION
        + PARSE
        + dedent("""
        try:
            main(**json.load(open(options.json)))
        except Exception:
            sys.exit(1)
        """),
    ),
    Kind(
        "module_missing_in_a_thread_and_in_a_child",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        import subprocess, threading
        arguments = json.load(open(options.json))
        def look():
            import a_module_of_nobody
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        subprocess.run([sys.executable, "-c", "import a_module_of_nobody"])
        if len(arguments) != 4:
            sys.exit(1)
        """),
    ),
    Kind(
        "module_needed_in_the_end",
        NOT_STARTING,
        FUNCTION
        + PARSE
        + dedent("""
        json.load(open(options.json))
        try:
            import a_module_of_nobody
        except ImportError:
            import logging
            logging.exception("it is needed")
            sys.exit(1)
        """),
        "a_module_of_nobody",
    ),
    Kind(
        "looks_at_the_names_of_its_files",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        assert options.json.endswith("0.args.json"), options.json
        assert options.metadata_out == options.json.replace(".args.", ".metadiff.")
        work(options.json, options.metadata_out)
        """),
    ),
    Kind(
        "raises_whatever_it_is_given",
        NEVER_WELL,
        FUNCTION
        + PARSE
        + dedent("""
        def run():
            arguments = json.load(open(options.json))
            raise ValueError("boom")
        run()
        """),
        "ValueError: boom (kinds/raises_whatever_it_is_given.py, line",
        "fail",
    ),
    Kind(
        "checks_its_own_types_before_its_arguments",
        NEVER_WELL,
        FUNCTION
        + PARSE
        + dedent("""
        def run_fractal_task(function):
            if os.path.exists(options.metadata_out):
                sys.exit(1)
            with open(options.json) as file:
                arguments = json.load(file)
            hints = function.__code__.co_varnames
            if hints != ("another",):
                raise ValueError(f"the model has other arguments than {sorted(hints)}")
            function(**arguments)
        run_fractal_task(main)
        """),
        "the model has other arguments",
        "fail",
    ),
    Kind(
        "library_drifted_after_reading",
        NEVER_WELL,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        json.of_another_version(arguments)
        """),
        "AttributeError",
        "fail",
    ),
    Kind(
        "no_network_after_reading",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        import urllib.request
        arguments = json.load(open(options.json))
        urllib.request.urlopen("http://127.0.0.1:9/model")
        main(**arguments)
        """),
        "only missing on this machine",
        "warn",
    ),
    Kind(
        "no_licence_after_reading",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        os.environ["LICENCE_OF_NOBODY"]
        main(**arguments)
        """),
        "only missing on this machine",
        "warn",
    ),
    Kind(
        "says_the_same_of_all_that_it_cannot_use",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        def is_plate(folder):
            return os.path.exists(f"{folder}/plate.zarr")
        arguments = json.load(open(options.json))
        if not is_plate(arguments.get("output_path")):
            raise ValueError("this cannot be used")
        """),
    ),
    Kind(
        "hides_the_cause_of_all_ends",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        try:
            main(**arguments, image=open("there/is/none"))
        except Exception:
            raise RuntimeError("the task failed") from None
        """),
    ),
    Kind(
        "returns_before_it_raises",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        def run(arguments):
            for path in arguments.get("input_paths", []):
                if os.path.exists(f"{path}/plate.zarr"):
                    return main(**arguments)
            raise RuntimeError("there is nothing to do")
        run(json.load(open(options.json)))
        """),
    ),
]

HELPERS = {
    "__init__.py": "",
    "helper.py": "",
    "outdated.py": "import os\nos.nothing\n",
    "broken.py": "print 'done'\n",
    "raising.py": "raise OSError('no licence')\n",
    "crashing.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "worker.py": dedent("""
        def run(arguments):
            if set(arguments) != {"input_paths", "output_path", "metadata", "number"}:
                raise TypeError("wrong arguments")
        """),
}

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

HANGING = [
    Kind(
        "hangs_before_reading",
        NOT_READING,
        FUNCTION + PARSE + "import time\ntime.sleep(600)\n",
        "hangs before it looks",
    ),
    Kind(
        "hangs_after_reading",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import time
        json.load(open(options.json))
        time.sleep(600)
        """),
        "no end within",
    ),
    Kind(
        "hangs_with_children",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import subprocess
        json.load(open(options.json))
        subprocess.run(["sh", "-c", "trap '' TERM INT; sleep 600 & wait"])
        """),
        "no end within",
    ),
    Kind("hangs_at_import", NOT_READING, "import time\ntime.sleep(600)\n" + USUAL),
    Kind(
        "hangs_on_what_is_no_json",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import time
        while True:
            try:
                arguments = json.load(open(options.json))
            except ValueError:
                time.sleep(1)
            else:
                break
        main(**arguments)
        """),
        "not JSON",
    ),
]


def wheel_of(folder: Path, kinds: list[Kind], metadata: str = "") -> Path:
    entries = [
        {
            "name": kind.name,
            "executable": f"{kind.name}.py",
            "input_type": "zarr",
            "output_type": "zarr",
            "meta": {},
            "args_schema": SCHEMA,
        }
        for kind in kinds
    ]
    manifest = {
        "manifest_version": "1",
        "task_list": entries,
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v1",
    }
    files = HELPERS | {f"{kind.name}.py": kind.script for kind in kinds}
    return make_wheel(folder, "kinds", files=files, manifest=manifest, metadata=metadata)


def judged(folder: Path, kinds: list[Kind], metadata: str = "", **options: Any) -> CandidateReport:
    wheel = wheel_of(folder, kinds, metadata)
    (report,) = check_package(wheel, select=["FR3"], **options).candidates
    return report


def check(report: CandidateReport, kind: Kind) -> None:
    verdicts = {verdict.code: verdict for verdict in report.verdicts if verdict.task == kind.name}
    outcomes = {code: str(verdict.outcome) for code, verdict in verdicts.items()}
    told = "\n".join(
        f"{found.expected} | {found.found} | {found.hint}"
        for verdict in verdicts.values()
        for found in verdict.findings
    )
    codes = ("FR301", "FR302", "FR303", "FR304", "FR305")
    depends = "blocked" if {"fail", "blocked"} & {*kind.outcomes[:3]} else kind.depends
    assert outcomes == dict(zip(codes, (*kind.outcomes, depends), strict=True)), told
    assert kind.says in told


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    return judged(tmp_path_factory.mktemp("plain"), PLAIN)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    needs = [f"Requires-Dist: {name}" for name in ("click", "typer", "fire", "pydantic>=2")]
    needs += ["Provides-Extra: vision"]
    needs += ["Requires-Dist: opencv-python-headless; extra == 'vision'"]
    return judged(tmp_path_factory.mktemp("libraries"), LIBRARIES, "\n".join(needs))


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    return judged(tmp_path_factory.mktemp("hanging"), HANGING, timeout=4, jobs=5)


def named(kinds: list[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.name)


@named(PLAIN)
def test_each_kind_of_command_is_judged_by_what_it_does(
    plain: CandidateReport, kind: Kind
) -> None:
    check(plain, kind)


@named(LIBRARIES)
def test_each_library_is_judged_by_what_it_does(libraries: CandidateReport, kind: Kind) -> None:
    check(libraries, kind)


@named(HANGING)
def test_a_command_that_hangs_is_told_where(hanging: CandidateReport, kind: Kind) -> None:
    check(hanging, kind)


BLIND: Mapping[str, Mapping[str, Any]] = {
    # Fails otherwise than with an impossible option: is trusted to have read.
    "argparse_wants_another_option_too": {"outcomes": GOOD},
    "argparse_j_is_a_number": {"outcomes": GOOD},
    "only_checks_existence_and_fails": {"outcomes": GOOD},
    # So are these, and then end alike whatever the arguments are.
    "argparse_json_text_not_file": {"outcomes": ALL_ALIKE},
    "reads_a_fixed_name": {"outcomes": ALL_ALIKE},
    "reads_standard_input": {"outcomes": ALL_ALIKE},
    "no_gpu_after_parsing": {"outcomes": ALL_ALIKE, "depends": "warn"},
    # Do not tell any two contents apart, nor an option from an impossible one.
    "accepts_everything": {"outcomes": NOT_READING},
    "by_position_and_always_the_same_words": {"outcomes": NOT_TAKING},
}
"""What is judged otherwise where no read can be seen."""


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReadWatch, "was_read", lambda _: None)
        return judged(tmp_path_factory.mktemp("blind"), PLAIN)


@named(PLAIN)
def test_where_no_read_is_seen_only_commands_that_fail_early_get_away(
    blind: CandidateReport, kind: Kind
) -> None:
    other = BLIND.get(kind.name)
    check(blind, replace(kind, says="", **other) if other else kind)


def starts_of(report: CandidateReport, task: str) -> int:
    return sum(run.task == task for run in report.runs)


@pytest.mark.parametrize(
    ("task", "number"),
    [
        ("missing_module", 1),
        ("missing_name", 1),
        ("attribute_error_in_module", 1),
        ("syntax_error_in_script", 1),
        ("exception_in_package", 1),
        ("segfault_at_import", 1),
        ("missing_interpreter", 1),
        # A plain function names the unknown argument, and none that is missing.
        ("argparse_required", 3),
        ("argparse_parse_known_args", 3),
        # First, not JSON, good but for an unknown one, and good.
        ("ignores_unknown_and_dies_of_the_data", 4),
        # It says nothing: alone, impossible, not JSON, lacking, unknown.
        ("wraps_without_a_word", 6),
        ("accepts_everything", 2),
        # First, and every other manner.
        ("ignores_and_succeeds", 11),
    ],
)
def test_a_command_is_started_no_more_often_than_needed(
    plain: CandidateReport, task: str, number: int
) -> None:
    assert starts_of(plain, task) == number


COSTLY = ("argparse_required", "wraps_without_a_word", "ignores_and_succeeds", "missing_module")


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("FR301", (1, 1, 1, 1)),
        # How it treats its options, where it fails without a word or reads nothing.
        ("FR302", (1, 3, 11, 1)),
        ("FR303", (1, 3, 11, 1)),
        ("FR304", (3, 6, 11, 1)),
        ("FR305", (3, 6, 11, 1)),
    ],
)
def test_a_rule_costs_no_start_that_others_need(
    tmp_path: Path, rule: str, numbers: tuple[int, ...]
) -> None:
    kinds = [kind for kind in PLAIN if kind.name in COSTLY]
    (report,) = check_package(wheel_of(tmp_path, kinds), select=[rule]).candidates
    assert tuple(starts_of(report, task) for task in COSTLY) == numbers


def test_a_refusal_that_tells_both_reasons_needs_two_starts(libraries: CandidateReport) -> None:
    assert starts_of(libraries, "pydantic_call") == 2


@pytest.mark.parametrize(
    ("task", "number"),
    [("hangs_after_reading", 1), ("hangs_with_children", 1), ("hangs_before_reading", 1)],
)
def test_a_command_that_hangs_is_hardly_started_again(
    hanging: CandidateReport, task: str, number: int
) -> None:
    assert starts_of(hanging, task) == number


RUN = """
import argparse, json
def run(function, read=json.load):
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", required=True)
    parser.add_argument("--metadata-out", required=True)
    arguments = read(open(parser.parse_args().j))
    missing = [name for name in ("number", "metadata") if name not in arguments]
    if missing:
        raise ValueError(f"missing {missing}, unknown {list(arguments)}")
    function(**arguments)
"""


@pytest.mark.parametrize(
    ("place", "script", "shared"),
    [
        ("reader.py", "from kinds.reader import run\nrun(print)\n", True),
        # Beside the package, as what it requires is.
        ("../library.py", "from library import run\nrun(print)\n", True),
        (
            "../library.py",
            "import library, kinds.own\nlibrary.run(print, kinds.own.read)\n",
            False,
        ),
    ],
)
def test_tasks_whose_reading_is_done_by_one_helper_share_the_start_on_no_json(
    tmp_path: Path, place: str, script: str, shared: bool
) -> None:
    kinds = [Kind(f"task_{number}", GOOD, script) for number in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HELPERS, place, RUN)
        patch.setitem(
            HELPERS, "own.py", "import json\ndef read(file):\n    return json.load(file)\n"
        )
        report = judged(tmp_path, kinds)
    for kind in kinds:
        check(report, kind)
    assert len(report.runs) == (len(kinds) + 1 if shared else 2 * len(kinds))


@pytest.mark.parametrize(
    ("script", "type_", "message"),
    [
        ("raise ValueError('first\\nsecond')", "ValueError", "first\nsecond"),
        ("raise KeyError", "KeyError", ""),
        ("class Odd(Exception): pass\nraise Odd('well')", "Odd", "well"),
        ("try:\n 1 / 0\nexcept Exception as e:\n raise OSError('then') from e", "OSError", "then"),
        ("try:\n 1 / 0\nexcept Exception:\n int('x')", "ValueError", "invalid literal"),
        ("print 'x'", "SyntaxError", "Missing parentheses"),
        ("import email.nothing", "ModuleNotFoundError", "No module named 'email.nothing'"),
        ("import json\njson.loads('{')", "JSONDecodeError", "Expecting property name"),
    ],
)
def test_a_crash_is_the_last_exception(
    tmp_path: Path, script: str, type_: str, message: str
) -> None:
    file = tmp_path / "script.py"
    file.write_text(script)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=False)
    crash = read_crash(done.stderr)
    assert crash is not None
    assert (crash.type, crash.message[: len(message)]) == (type_, message)
    assert crash.frames[0].file == str(file)


@pytest.mark.parametrize(
    "text", ["", "all is well\n", "ValueError: said in a log\n", "usage: x\n"]
)
def test_an_output_without_a_traceback_holds_no_crash(text: str) -> None:
    assert read_crash(text) is None


@pytest.mark.parametrize("word", ["A", "A.", "abcd-", "'", "_", "1", '"', " ", "\u2500", "[type="])
def test_a_word_of_60000_letters_is_soon_read(word: str) -> None:
    said = word * (60_000 // len(word))
    start = Start(Finished((), 1, said, f"{said}\nx\n", 0.0), True, None, "/a/b.json", "/a/c.json")
    begun = time.process_time()
    assert start.ending.status == 1
    read_crash(f'Traceback (most recent call last):\n  File "x", line 1\n{said}\n')
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "aside",
    [
        "Exception in thread Thread-1 (f):",
        "Exception ignored in: <function X.__del__ at 0x7f>",
        "Process SpawnProcess-1:",
    ],
)
def test_a_traceback_of_something_else_is_not_the_end(aside: str) -> None:
    other = (
        f'{aside}\nTraceback (most recent call last):\n  File "a.py", line 3, in f\n'
        "    import cupy\nModuleNotFoundError: No module named 'cupy'\n"
    )
    own = (
        'Traceback (most recent call last):\n  File "b.py", line 7, in <module>\n    g()\n'
        "ValueError: 1 is\nnot 2\n"
    )
    assert read_crash(other) is None
    for text in (other + own, own + other):
        crash = read_crash(text)
        assert crash is not None
        assert (crash.headline, crash.frames[0].file) == ("ValueError: 1 is", "b.py")
