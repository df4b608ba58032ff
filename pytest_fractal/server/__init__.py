"""A real fractal-server: installed, started, asked and stopped.

    from pytest_fractal.server.servers import running_server

    with running_server("1") as server:
        collected = server.collect(Path("dist/my_tasks-1.0-py3-none-any.whl"))
        assert collected.outcome == "done", collected.said
        run = server.run(job, collected, limit=300)

Only `facts.py` is imported before somebody asks for a server.
"""
