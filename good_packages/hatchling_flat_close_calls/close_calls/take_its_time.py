"""Takes its time, in a thread that Python waits for at its end."""

import inspect
import threading
import time
from pathlib import Path

from close_calls.command import arguments_and_output


def take_its_time(*, input_paths, output_path, component, metadata, seconds=1.5):
    """Write a file after a while."""
    time.sleep(seconds)
    folder = Path(output_path, component)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "late.txt").write_text(f"after {seconds} s")


if __name__ == "__main__":
    arguments, _ = arguments_and_output()
    inspect.signature(take_its_time).bind(**arguments)  # nobody hears of errors in a thread
    threading.Thread(target=take_its_time, kwargs=arguments).start()
