"""Reads its requirements from a file."""

from pathlib import Path

from setuptools import setup

needed = Path(__file__).with_name("needed.in").read_text().splitlines()

setup(
    name="fr001-sdist-lacks-a-file-of-the-build",
    version="1.0",
    packages=["fr001_sdist_lacks_a_file_of_the_build"],
    package_data={"fr001_sdist_lacks_a_file_of_the_build": ["*.json"]},
    install_requires=[line for line in needed if not line.startswith("#")],
)
