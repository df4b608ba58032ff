"""The image list of generation 2: what tasks may write about it, and what becomes of it.

Functions from JSON values to faults and to new image lists, without any input or output.
All of it is what fractal-server 2.18.5 and 2.24.2 do: their models `TaskOutput`,
`InitTaskOutput`, `SingleImageTaskOutput`, and the end of a task in `execute_tasks`. A fault
says which releases it concerns where they differ.
"""

from __future__ import annotations

import difflib
import json
import math
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pytest_fractal.generations.protocol import ModelFault, ModelFaultKind
from pytest_fractal.json_text import shown
from pytest_fractal.pointers import Keys

MAX_UNITS: Final = 20_000
"""The longest `parallelization_list`, identical elements counted once."""

_S3: Final = "s3://"
_UPDATES: Final = "image_list_updates"
_REMOVALS: Final = "image_list_removals"
_UNITS: Final = "parallelization_list"
_BOOLEAN: Final = TypeAdapter(bool)


@dataclass(frozen=True)
class Image:
    """One image of a dataset, or what a task writes of one."""

    zarr_url: str
    origin: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Values are scalars; None, in what a task writes, removes the attribute."""
    types: Mapping[str, bool] = field(default_factory=dict)

    @property
    def value(self) -> dict[str, Any]:
        """The image as JSON."""
        return {
            "zarr_url": self.zarr_url,
            "origin": self.origin,
            "attributes": dict(self.attributes),
            "types": dict(self.types),
        }


@dataclass(frozen=True)
class Unit:
    """One element of a `parallelization_list`: one start of a compute command."""

    zarr_url: str
    init_args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """What a task has written of images, read as the server does."""

    updates: tuple[Image, ...] = ()
    removals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A dataset while a workflow runs."""

    zarr_dir: str
    images: tuple[Image, ...] = ()
    type_filters: Mapping[str, bool] = field(default_factory=dict)
    """The `output_types` of the tasks so far: later tasks see only such images."""

    @property
    def value(self) -> dict[str, Any]:
        """Its images as JSON."""
        return {"images": [image.value for image in self.images]}

    def inputs(self, input_types: Mapping[str, bool]) -> tuple[Image, ...]:
        """The images that a task with these `input_types` gets; an absent type counts as false.

        The server fails a task that would get none, converters excepted: those always get
        none.
        """
        wanted = {**self.type_filters, **input_types}
        return tuple(
            image
            for image in self.images
            if all(image.types.get(name, False) == value for name, value in wanted.items())
        )

    def after(
        self,
        outputs: Sequence[Output],
        *,
        inputs: Sequence[Image],
        output_types: Mapping[str, bool],
    ) -> tuple[Dataset, tuple[ModelFault, ...]]:
        """The dataset after a task, and why the server would refuse what it has written.

        `outputs` are those of its units that succeeded (one for a task that is not
        parallel; an empty one for an init part that hands on nothing), `inputs` the images
        that it got. The keys of a fault begin with the number of the output. With a fault
        that ends the job the dataset stays as it was.
        """
        updates, removals, faults = _once(
            (
                ((number, _UPDATES, index), update)
                for number, output in enumerate(outputs)
                for index, update in enumerate(output.updates)
            ),
            (
                ((number, _REMOVALS, index), removal)
                for number, output in enumerate(outputs)
                for index, removal in enumerate(output.removals)
            ),
        )
        if outputs and not updates and not removals:
            # A task that lists nothing has changed all images that it got.
            updates = [((0,), Image(image.zarr_url)) for image in inputs]
        images = {image.zarr_url: image for image in self.images}
        for keys, update in updates:
            known = update.zarr_url in images
            if not known and not may_hold(self.zarr_dir, update.zarr_url):
                expected = f"a path below the dataset's zarr_dir, {self.zarr_dir}"
                faults.append(ModelFault((*keys, "zarr_url"), expected, update.zarr_url))
            images[update.zarr_url] = _updated(update, images, output_types)
        for keys, zarr_url in removals:
            if zarr_url not in images:
                found = f"{zarr_url}, which is not among them"
                faults.append(ModelFault(keys, "an image of the dataset", found))
            images.pop(zarr_url, None)
        if faults:
            return self, tuple(faults)
        filters = {**self.type_filters, **output_types}
        done = replace(self, images=tuple(images.values()), type_filters=filters)
        return done, tuple(_unreadable(self.images, done.images, updates))


def may_hold(zarr_dir: str, zarr_url: str) -> bool:
    """Whether the server takes a new image with this path into a dataset there.

    It compares texts, so that a sibling whose name begins alike passes.
    """
    return zarr_url.startswith(zarr_dir) and zarr_url != zarr_dir


def mixed_attributes(images: Iterable[Image]) -> dict[str, tuple[Image, Image]]:
    """The attributes that are a number in one image and a text in another, with two such.

    True and false count as numbers. Servers before 2.20 sort all values of an attribute
    whenever a dataset's images are asked for (`aggregate_attributes`), and answer 500.
    """
    first: dict[tuple[str, bool], Image] = {}
    mixed: dict[str, tuple[Image, Image]] = {}
    for image in images:
        for name, value in image.attributes.items():
            is_text = isinstance(value, str)
            first.setdefault((name, is_text), image)
            if (other := first.get((name, not is_text))) is not None:
                mixed.setdefault(name, (other, image))
    return mixed


BEFORE_2_20: Final = ">=2,<2.20"
"""The releases that sort mixed attributes, and take no address on S3."""

MIXED: Final = (
    "with both in one dataset, servers before 2.20 can never show its images again: "
    "images/query answers 500"
)


def output_faults(value: Any, keys: Keys = ()) -> Iterator[ModelFault]:
    """Where the output of a task is not what the server takes, all places at once.

    `value` is what the output file holds, for any command but an init command. None, as
    also no file at all, is an empty output. `keys` lead to it.
    """
    updates: list[tuple[Keys, Image]] = []
    removals: list[tuple[Keys, str]] = []
    yield from _not_output(value, keys, (_UPDATES, _REMOVALS))
    for here, update in _elements(value, keys, _UPDATES):
        faults = list(image_faults(update, here, may_unset=True))
        yield from faults
        if all(fault.coerced for fault in faults):
            updates.append((here, read_image(update)))
    for here, removal in _elements(value, keys, _REMOVALS):
        faults = list(_url_faults(removal, here))
        yield from faults
        if all(fault.coerced for fault in faults):
            removals.append((here, read_url(removal)))
    yield from _once(updates, removals)[2]


def init_output_faults(value: Any, keys: Keys = ()) -> Iterator[ModelFault]:
    """The same for an init command, whose output is the list of what to compute."""
    yield from _not_output(value, keys, (_UNITS,))
    readable = []
    for here, unit in _elements(value, keys, _UNITS):
        faults = list(_unit_faults(unit, here))
        yield from faults
        if all(fault.coerced for fault in faults):
            readable.append(unit)
    count = len(read_units({_UNITS: readable}))
    if count > MAX_UNITS:
        found = f"{count} different ones"
        yield ModelFault((*keys, _UNITS), f"at most {MAX_UNITS} elements", found)


def image_faults(value: Any, keys: Keys = (), *, may_unset: bool = False) -> Iterator[ModelFault]:
    """Where an image is not what the server takes: of a dataset, or of a task's output.

    Only tasks may give an attribute as null (`may_unset`).
    """
    if not isinstance(value, dict):
        yield _fault(keys, "an object with a zarr_url", value)
        return
    for fault in _unknown(value, keys, ("zarr_url", "origin", "attributes", "types")):
        yield replace(fault, found=f"{fault.found}, which the server drops", coerced=True)
    yield from _url_faults(value.get("zarr_url", _MISSING), (*keys, "zarr_url"))
    if value.get("origin") is not None:
        yield from _url_faults(value["origin"], (*keys, "origin"))
    yield from _named(
        value.get("attributes", {}),
        (*keys, "attributes"),
        lambda one, here: _attribute_faults(one, here, may_unset),
    )
    yield from type_faults(value.get("types", {}), (*keys, "types"))


def type_faults(value: Any, keys: Keys = ()) -> Iterator[ModelFault]:
    """Where types, of an image or in a manifest, are not what the server takes."""
    return _named(value, keys, _type_faults)


def read_output(value: Any) -> Output:
    """The output as the server reads it. It must have no fault that is not coerced."""
    value = value or {}
    return Output(
        tuple(read_image(update) for update in value.get(_UPDATES, ())),
        tuple(read_url(removal) for removal in value.get(_REMOVALS, ())),
    )


def read_units(value: Any) -> tuple[Unit, ...]:
    """What to compute, in order, identical elements once; see `read_output`."""
    units: dict[Any, Unit] = {}
    for listed in (value or {}).get(_UNITS, ()):
        unit = Unit(read_url(listed["zarr_url"]), listed.get("init_args", {}))
        units.setdefault((unit.zarr_url, _frozen(unit.init_args)), unit)
    return tuple(units.values())


def read_image(value: Mapping[str, Any]) -> Image:
    """The image as the server reads it; see `read_output`."""
    origin = value.get("origin")
    attributes = value.get("attributes", {})
    return Image(
        read_url(value["zarr_url"]),
        None if origin is None else read_url(origin),
        {name.strip(): attribute for name, attribute in attributes.items()},
        read_types(value.get("types", {})),
    )


def read_types(value: Mapping[str, Any]) -> dict[str, bool]:
    """Types as the server reads them, such as `"yes"` for true; see `read_output`."""
    return {name.strip(): _BOOLEAN.validate_python(item) for name, item in value.items()}


def read_url(value: str) -> str:
    """A path as the server reads it: `/a//b/` is `/a/b`; an address on S3 only loses its end."""
    text = value.strip()
    return text.rstrip("/") if text.startswith(_S3) else posixpath.normpath(text)


def _updated(
    update: Image, images: Mapping[str, Image], output_types: Mapping[str, bool]
) -> Image:
    """The image that comes of an update: what it was, or its origin is, is kept."""
    here = images.get(update.zarr_url)
    if here is not None and update.origin in (None, update.zarr_url):
        before, origin = here, here.origin
    else:
        before = images.get(update.origin or "", Image(""))
        origin = update.origin
    attributes = {**before.attributes, **update.attributes}
    return Image(
        update.zarr_url,
        origin,
        {name: value for name, value in attributes.items() if value is not None},
        {**before.types, **update.types, **output_types},
    )


def _unreadable(
    before: Sequence[Image], after: Sequence[Image], updates: Sequence[tuple[Keys, Image]]
) -> Iterator[ModelFault]:
    """The updates that mix numbers and texts in an attribute, each at the value it gives."""
    known = mixed_attributes(before)
    for name, pair in mixed_attributes(after).items():
        if name in known:
            continue
        named = [
            (keys, update) for keys, update in updates if update.attributes.get(name) is not None
        ]
        # The last one of the two images. Neither is named where both have got it from others.
        urls = {image.zarr_url for image in pair}
        keys, update = next((url for url in reversed(named) if url[1].zarr_url in urls), named[-1])
        value = update.attributes[name]
        other = next(text for text in pair if _kind(text.attributes[name]) != _kind(value))
        yield ModelFault(
            (*keys, "attributes", name),
            f"{_kind(other.attributes[name])}, as the attribute is in other images",
            f"{json.dumps(value)}, where {other.zarr_url} has "
            f"{json.dumps(other.attributes[name])}; {MIXED}",
            coerced=True,
            releases=BEFORE_2_20,
        )


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else "a number"


def _once(
    updates: Iterable[tuple[Keys, Image]], removals: Iterable[tuple[Keys, str]]
) -> tuple[list[tuple[Keys, Image]], list[tuple[Keys, str]], list[ModelFault]]:
    """Identical updates and removals once, and the images for which more than one is left."""
    distinct: list[tuple[Keys, Image]] = []
    by_url: dict[str, list[Image]] = {}
    faults = []
    for here, update in updates:
        others = by_url.setdefault(update.zarr_url, [])
        if update in others:
            continue
        if others:
            found = f"{update.zarr_url}, which is updated before with other content"
            faults.append(ModelFault((*here, "zarr_url"), "each image once", found))
        others.append(update)
        distinct.append((here, update))
    removed: dict[str, Keys] = {}
    for here, removal in removals:
        if removal in by_url and removal not in removed:
            found = f"{removal}, which is updated too"
            faults.append(ModelFault(here, "an image that is not updated", found))
        removed.setdefault(removal, here)
    return distinct, [(here, removal) for removal, here in removed.items()], faults


_MISSING: Final = object()


def _not_output(value: Any, keys: Keys, known: tuple[str, ...]) -> Iterator[ModelFault]:
    if isinstance(value, dict):
        yield from _unknown(value, keys, known)
        for key in known:
            if not isinstance(value.get(key, []), list):
                yield _fault((*keys, key), "a list", value[key])
    elif value is not None:
        yield _fault(keys, "an object, or null", value)


def _elements(value: Any, keys: Keys, key: str) -> Iterator[tuple[Keys, Any]]:
    listed = value.get(key) if isinstance(value, dict) else None
    for index, element in enumerate(listed if isinstance(listed, list) else ()):
        yield (*keys, key, index), element


def _unit_faults(value: Any, keys: Keys) -> Iterator[ModelFault]:
    if not isinstance(value, dict):
        yield _fault(keys, "an object with a zarr_url", value)
        return
    yield from _unknown(value, keys, ("zarr_url", "init_args"))
    yield from _url_faults(value.get("zarr_url", _MISSING), (*keys, "zarr_url"))
    if not isinstance(value.get("init_args", {}), dict):
        yield _fault((*keys, "init_args"), "an object", value["init_args"])


def _unknown(value: Mapping[str, Any], keys: Keys, known: tuple[str, ...]) -> Iterator[ModelFault]:
    for key in value:
        if key not in known:
            near = [name for name in difflib.get_close_matches(key, known, 1) if name not in value]
            yield ModelFault(
                (*keys, key),
                f"no key but {', '.join(known)}",
                f"the key {shown(key)}",
                kind=ModelFaultKind.UNWANTED,
                hint=f'call it "{near[0]}"' if near else "",
            )


def _url_faults(value: Any, keys: Keys) -> Iterator[ModelFault]:
    expected = "an absolute path"
    if value is _MISSING:
        name = f'"{keys[-1]}"'
        yield ModelFault(
            keys, f"the field {name}", f"{name} is missing", kind=ModelFaultKind.MISSING
        )
    elif not isinstance(value, str):
        yield _fault(keys, expected, value)
    elif not _is_storable(value):
        yield _fault(keys, _STORABLE, value)
    elif value.strip().startswith(_S3):
        if ".." in value.strip().split("/"):
            yield _fault(keys, "an address without ..", value)
        found = f"{shown(value)}: servers before 2.20 refuse an address on S3"
        yield ModelFault(keys, expected, found, coerced=True, releases=BEFORE_2_20)
    elif not value.strip().startswith("/"):
        yield _fault(keys, f"{expected}, which begins with /", value)
    elif ".." in value.strip().split("/"):
        yield _fault(keys, f"{expected} without ..", value)


def _named(
    value: Any, keys: Keys, faults: Callable[[Any, Keys], Iterator[ModelFault]]
) -> Iterator[ModelFault]:
    """Faults of an object whose keys the server strips, and of its values."""
    if not isinstance(value, dict):
        yield _fault(keys, "an object", value)
        return
    seen: set[str] = set()
    for name, item in value.items():
        here = (*keys, name)
        if not name.strip():
            yield ModelFault(here, "a name that is not blank", shown(name))
        elif name.strip() in seen:
            found = f"{shown(name)}, which differs from another by blanks alone"
            yield ModelFault(here, "each name once", found)
        elif not _is_storable(name):
            yield ModelFault(here, _STORABLE, shown(name))
        seen.add(name.strip())
        yield from faults(item, here)


def _attribute_faults(value: Any, keys: Keys, may_unset: bool) -> Iterator[ModelFault]:
    if isinstance(value, str):
        if not _is_storable(value):
            yield _fault(keys, _STORABLE, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield _fault(keys, "a finite number, for the server's database takes no other", value)
    elif not isinstance(value, int) and not (value is None and may_unset):
        null = ", or null" if may_unset else ""
        yield _fault(keys, f"a number, a text, true or false{null}", value)


def _type_faults(value: Any, keys: Keys) -> Iterator[ModelFault]:
    if isinstance(value, bool):
        return
    fault = _fault(keys, "true or false", value)
    try:
        read = _BOOLEAN.validate_python(value)
    except ValidationError:
        yield fault
    else:
        found = f"{fault.found}, which the server takes for {json.dumps(read)}"
        yield replace(fault, found=found, coerced=True, wanted=bool)


_STORABLE: Final = "a text that a database can hold, without NUL and lone surrogates"


def _is_storable(text: str) -> bool:
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def _fault(keys: Keys, expected: str, found: Any) -> ModelFault:
    return ModelFault(keys, expected, shown(found, 200))


def _frozen(value: Any) -> Any:
    """A value that can be counted in a set, equal where the given ones are equal."""
    if isinstance(value, dict):
        return frozenset((key, _frozen(item)) for key, item in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
