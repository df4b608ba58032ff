"""What stops commands, or seems to, before their arguments matter."""

from __future__ import annotations

from textwrap import dedent

from command_kinds import (
    ALL_ALIKE,
    FUNCTION,
    GOOD,
    NOT_READING,
    NOT_STARTING,
    NOT_TAKING,
    PARSE,
    USUAL,
    WORK,
    Kind,
    trying,
)

STARTING = [
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
        + trying("""
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
]
