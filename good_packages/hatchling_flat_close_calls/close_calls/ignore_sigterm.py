"""Goes on when it is told to stop."""

import json
import os
import signal
from pathlib import Path

from close_calls.command import arguments_and_output


def ignore_sigterm(*, input_paths, output_path, metadata):
    """Tell itself to stop, and go on."""
    os.kill(os.getpid(), signal.SIGTERM)
    Path(output_path, "saved.txt").write_text("in spite of all")
    return {"saved": True}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    arguments, output = arguments_and_output()
    output.write_text(json.dumps(ignore_sigterm(**arguments)))
