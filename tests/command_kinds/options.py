"""How commands take their options: by every parser, and by none."""

from __future__ import annotations

from textwrap import dedent

from command_kinds import (
    FUNCTION,
    GOOD,
    NOT_READING,
    NOT_STARTING,
    NOT_TAKING,
    PARSE,
    REFUSING_OUTPUT,
    USUAL,
    WORK,
    Kind,
    argparse_with,
    loop,
)

OPTIONS = [
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
        REFUSING_OUTPUT,
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
]
