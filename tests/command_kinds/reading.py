"""How commands read the file with their arguments, if they do."""

from __future__ import annotations

from textwrap import dedent

from command_kinds import FUNCTION, GOOD, LENIENT, NOT_READING, NOT_TAKING, PARSE, Kind, reading

READING = [
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
        "reads_standard_input",
        NOT_READING,
        FUNCTION
        + PARSE
        + dedent("""
        main(**json.load(sys.stdin))
        """),
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
]
