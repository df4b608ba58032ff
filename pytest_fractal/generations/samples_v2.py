"""The images that a sample of generation 2 gives: what the server refuses, what a task gets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_fractal.generations import images
from pytest_fractal.generations.protocol import (
    SampleFault,
)
from pytest_fractal.json_text import shown
from pytest_fractal.pointers import Keys

_DROP: Final = "remove it"


_BELOW: Final = (
    'write a path below it, or give the sample the "zarr_dir" in which the images lie; '
    'without one, that is "{tmp}"'
)


def _faults_of_images(given: Mapping[str, Any]) -> Iterator[SampleFault]:
    """What the server refuses in the images that a sample gives (`post_new_image`)."""
    zarr_dir = images.read_url(given["zarr_dir"])
    given_images: list[tuple[Keys, Any]] = [
        (("images", index), image) for index, image in enumerate(given.get("images", ()))
    ]
    given_images += [
        (("zarr_urls", index), {"zarr_url": url})
        for index, url in enumerate(given.get("zarr_urls", ()))
    ]
    if "zarr_url" in given:
        given_images.append((("zarr_url",), {"zarr_url": given["zarr_url"]}))
    readable: list[tuple[Keys, images.Image]] = []
    for keys, value in given_images:
        faults = [
            image_fault
            for image_fault in images.image_faults(value, keys)
            if not image_fault.coerced or image_fault.releases
        ]
        for fault in faults:
            way = fault.keys if keys[0] == "images" else keys
            yield SampleFault(
                way, fault.expected, fault.found, f"write {fault.expected}", fault.releases
            )
        if all(fault.coerced for fault in faults):
            readable.append((keys, images.read_image(value)))
    seen: set[tuple[bool, str]] = set()
    for keys, image in readable:
        way = (*keys, "zarr_url") if keys[0] == "images" else keys
        if not images.may_hold(zarr_dir, image.zarr_url):
            yield SampleFault(
                way,
                f"a path below the dataset's zarr_dir, {zarr_dir}",
                f"{image.zarr_url}, which the server refuses",
                _BELOW,
            )
        # What `zarr_url` and `zarr_urls` name may be one of the images.
        once = (keys[0] == "images", image.zarr_url)
        if once in seen:
            yield SampleFault(
                way, "each image once", f"{image.zarr_url} again, which the server refuses", _DROP
            )
        seen.add(once)
    for name, pair in images.mixed_attributes(image for _, image in readable).items():
        keys = next(keys for keys, image in reversed(readable) if image is pair[1])
        yield SampleFault(
            (*keys, "attributes", name),
            "an attribute that is a number in all images, or a text in all",
            f"{json.dumps(pair[1].attributes[name])}, where {pair[0].zarr_url} has "
            f"{json.dumps(pair[0].attributes[name])}; {images.MIXED}",
            "write numbers, or texts",
            images.BEFORE_2_20,
        )


def inputs_of(
    dataset: images.Dataset, given: Mapping[str, Any], types: Mapping[str, bool]
) -> tuple[images.Dataset, tuple[images.Image, ...]]:
    """The dataset with the images that a sample gives, and those of them that the task gets.

    An image of which it gives no more than the path is of the types that the task wants.
    """
    named = given.get("zarr_urls") or ([given["zarr_url"]] if "zarr_url" in given else [])
    urls = [images.read_url(url) for url in named]
    known = {image.zarr_url: image for image in dataset.images}
    known |= {image.zarr_url: image for image in map(images.read_image, given.get("images", ()))}
    wanted = {**dataset.type_filters, **types}
    for url in urls:
        known.setdefault(url, images.Image(url, types=wanted))
    dataset = replace(dataset, images=tuple(known.values()))
    if urls:
        return dataset, tuple(known[url] for url in dict.fromkeys(urls))
    return dataset, dataset.inputs(types)


def first_dataset(
    entry: Mapping[str, Any], given: Mapping[str, Any], folder: Path
) -> images.Dataset:
    """The dataset with which the first step of a workflow begins: see `Generation.play`."""
    types = images.read_types(entry.get("input_types", {}))
    empty = images.Dataset(images.read_url(given.get("zarr_dir", str(folder))))
    return inputs_of(empty, given, types)[0]


def _is_absolute(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


def sample_faults(kind: str, given: Mapping[str, Any]) -> Iterator[SampleFault]:
    """What the server refuses in a dataset and its images."""
    words = kind.replace("_", "-")
    wrong = {"zarr_urls" if kind == "parallel" else "zarr_url"}
    if kind.startswith("converter"):
        wrong = {"images", "zarr_url", "zarr_urls"}
    for key in sorted(wrong & set(given)):
        yield SampleFault(
            (key,), f"no {key} for a {words} task", "one, which Fractal does not supply", _DROP
        )
    if not _is_absolute(zarr_dir := given["zarr_dir"]):
        yield SampleFault(("zarr_dir",), "an absolute path", shown(zarr_dir), 'write "{tmp}/..."')
        return
    kept = {key: value for key, value in given.items() if key not in wrong}
    unlisted = [key for key in ("images", "zarr_urls") if not isinstance(kept.get(key, []), list)]
    for key in unlisted:
        yield SampleFault((key,), "a list", shown(kept[key]), f"write a list of {key}")
    if not unlisted:
        yield from _faults_of_images(kept)
