"""Which arguments commands refuse, and whether what they do depends on any."""

from __future__ import annotations

from textwrap import dedent

from command_kinds import ALL_ALIKE, FUNCTION, GOOD, LENIENT, NEVER_WELL, PARSE, Kind, trying

REFUSING = [
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
        trying("""
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
