"""Kept as small as it can be."""

from setuptools import setup

setup(
    name="coloc",
    version="0.9.3",
    description="Compares channels",
    packages=["coloc"],
    package_data={"coloc": ["*.json"]},
    python_requires=">=3.9",
    install_requires=["fire>=0.6"],
)
