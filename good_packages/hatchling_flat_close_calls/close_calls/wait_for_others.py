"""Starts threads, processes, a shell and a daemon, and waits for all of them."""

import json
import multiprocessing
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from close_calls.command import arguments_and_output


def write(path):
    """Write one file."""
    Path(path).write_text("done")


def run_daemon(path):
    """Let a daemon write a file; the pipe closes when it has ended."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            write(path)
        os._exit(0)
    os.close(writing)
    os.wait()
    os.read(reading, 1)
    os.close(reading)


def wait_for_others(*, input_paths, output_path, metadata, workers=2):
    """Let others write, and wait until they have."""
    folder = Path(output_path)
    run_daemon(folder / "daemon.txt")
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(write, [str(folder / f"process_{number}.txt") for number in range(workers)])
        pool.close()
        pool.join()
    with ThreadPoolExecutor(workers) as threads:
        threads.map(write, [folder / f"thread_{number}.txt" for number in range(workers)])
    subprocess.run("(sleep 0.1; echo done > shell.txt) & wait", shell=True, check=True, cwd=folder)
    # Comes with a process of Python's own, which ends a little later than this one.
    memory = SharedMemory(create=True, size=1024)
    memory.close()
    memory.unlink()
    return {"files": sorted(path.name for path in folder.iterdir())}


if __name__ == "__main__":
    arguments, output = arguments_and_output()
    output.write_text(json.dumps(wait_for_others(**arguments)))
