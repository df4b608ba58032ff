"""The command line that all tasks of the package share."""

import getopt
import json
import sys


def main(function):
    """Call `function` as the command line says."""
    try:
        options, rest = getopt.getopt(sys.argv[1:], "j:", ["json=", "metadata-out="])
    except getopt.GetoptError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
    if rest:
        sys.exit(f"{sys.argv[0]}: what is {rest[0]}?")
    options = dict(options)
    source = options.get("-j") or options.get("--json")
    if source is None:
        sys.exit(f"{sys.argv[0]}: -j FILE is needed")
    with open(source, "rb") as file:
        update = function(**json.load(file))
    if "--metadata-out" in options:
        with open(options["--metadata-out"], "w") as file:
            file.write(json.dumps(update))
