"""The command line that all tasks of the package share."""

import argparse

try:
    from orjson import dumps, loads
except ModuleNotFoundError:  # installed without the extra [fast]
    import json

    loads = json.loads

    def dumps(value):
        return json.dumps(value).encode()


class OneFile(argparse.Action):
    """Refuses an option that is given twice."""

    def __call__(self, parser, namespace, values, option_string=None):
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


def run_task(function):
    """Run `function` with the arguments of a file."""
    parser = argparse.ArgumentParser(prog=function.__name__)
    parser.add_argument("-j", "--arguments", action=OneFile, required=True)
    parser.add_argument("--metadata-out", action=OneFile)
    options = parser.parse_args()
    with open(options.arguments, "rb") as source:
        update = function(**loads(source.read()))
    if options.metadata_out:
        with open(options.metadata_out, "wb") as target:
            target.write(dumps(update))
