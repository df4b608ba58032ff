"""Calls one hook of a build backend (PEP 517). Started as a script, in the project's folder.

Usage: python backend_hook.py RESULT CALL

CALL is a JSON object: `backend`, `backend_path`, `hook`, `arguments`, and `optional`, whether
the backend may lack the hook. What the hook gives is written to the file RESULT as JSON; what
it raises ends the process. Runs under the candidate's interpreter, which may be an old one.
"""

import importlib
import json
import os
import sys


def main() -> None:
    """Call the hook that the arguments name."""
    result, call = sys.argv[1], json.loads(sys.argv[2])
    del sys.argv[1:]
    paths = [os.path.abspath(path) for path in call["backend_path"]]
    # In place of this script's folder, whose modules are none of the backend's.
    sys.path[:1] = paths
    module, _, attributes = call["backend"].partition(":")
    backend = importlib.import_module(module)
    file = os.path.abspath(getattr(backend, "__file__", None) or "")
    if paths and not any(file.startswith(os.path.join(path, "")) for path in paths):
        sys.exit("the backend {} is not in its backend-path".format(call["backend"]))
    for name in filter(None, attributes.split(".")):
        backend = getattr(backend, name)
    given = None
    if hasattr(backend, call["hook"]) or not call["optional"]:
        given = getattr(backend, call["hook"])(*call["arguments"])
    with open(result, "w") as output:
        json.dump(given, output)


if __name__ == "__main__":
    main()
