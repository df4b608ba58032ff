"""Every published task package, judged regularly: the page of results.

`python -m pytest_fractal.published` reads a list of packages, has each judged by the hermetic
command, and makes one static page of what came of it, beside what came of it the last time.
"""
