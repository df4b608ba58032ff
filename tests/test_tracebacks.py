"""How a process has ended, as its output tells."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.tracebacks import read_crash


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


@pytest.mark.parametrize("gap", ["", "\n", "\n    ", " \u2502\n\u2502 "])
@pytest.mark.parametrize("at", [3, 12])
def test_where_its_files_lie_is_no_difference_between_two_starts(gap: str, at: int) -> None:
    """Also where a message is folded, maybe in a box."""

    def words(folder: str, named: str) -> frozenset[str]:
        path = f"{folder}/{named}"
        text = f"no such file: {path[:at]}{gap}{path[at:]}, nor {path}"
        finished = Finished((), 2, "", text, 0.1)
        start = Start(finished, True, None, f"{folder}/args.json", f"{folder}/out.json")
        return start.ending.words

    first = words("/tmp/first/a", "args.json")
    assert first == words("/tmp/second/of/all", "args.json")
    assert first != words("/tmp/first/a", "out.json")
