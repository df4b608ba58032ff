"""Forgets the manifest."""

from setuptools import find_packages, setup

setup(
    name="fr101-setuptools-setup-py",
    version="1.0",
    packages=find_packages(),
    python_requires=">=3.9",
)
