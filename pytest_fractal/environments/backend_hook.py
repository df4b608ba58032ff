"""Calls the hooks of a build backend (PEP 517) that make one distribution.

Usage, in the project's folder: python backend_hook.py ASKED MADE CALL

CALL is a JSON object: `backend` and `backend_path`; the `kind`, sdist or wheel; the `folder`
in which it is to be made; and `given`, the requirements that are installed, or null where the
backend is not to be asked for them any more. The file ASKED gets what the backend asks for, as
JSON. Where all of that is there, it builds, and the file MADE gets what the hook returns. What
a hook raises ends the process. Runs under the candidate's interpreter, which may be an old one.
"""

import importlib
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load(call: "dict[str, Any]") -> "Any":
    """The backend."""
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
    return backend


def tell(path: str, value: object) -> None:
    """Write a file."""
    with open(path, "w") as output:
        json.dump(value, output)


def requires(call: "dict[str, Any]", backend: "Any", asked: str) -> "Any":
    """What the backend asks for.

    Each hook has a process of its own, for it may change anything in it; only what is imported
    with the backend they have in common.
    """
    child = os.fork()
    if child == 0:
        tell(asked, getattr(backend, "get_requires_for_build_" + call["kind"], list)() or [])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # what is to be cleared up at the end is the parent's as well
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    if status or not os.path.isfile(asked):
        sys.exit(os.WEXITSTATUS(status))
    with open(asked) as file:
        return json.load(file)


def main() -> None:
    """Call the hooks."""
    asked, made, call = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    del sys.argv[1:]
    backend = load(call)
    if call["given"] is not None:
        wanted = requires(call, backend, asked)
        if not isinstance(wanted, list) or any(path not in call["given"] for path in wanted):
            return
    tell(made, getattr(backend, "build_" + call["kind"])(call["folder"]))


if __name__ == "__main__":
    main()
