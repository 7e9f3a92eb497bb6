"""The schema of a Terraform provider, from the types in the wheel that CDK Terraform makes of it.

Lost on the way: what is a set is a list, and what only the provider itself checks.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

LINK = re.compile(
    r"/docs(?:/(?:resources|data-sources|ephemeral-resources)/[a-z0-9_]+)?/?(?:index)?#(\w+)"
)
BASES = {
    "cdktn.TerraformResource": "resource_schemas",
    "cdktn.TerraformDataSource": "data_source_schemas",
}
PRIMITIVE = {"string": "string", "number": "number", "boolean": "bool"}
MAPS = {
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "StringMapList": ["list", ["map", "string"]],
    "IResolvable": "bool",
}
INTERNAL = ("internalValue", "fqn", "tfResourceType")
Json = dict[str, Any]


class Block(tuple[str, bool]):
    """A nested block: the type it is declared by, and whether there may be many."""


def read_wheel(wheel: Path) -> tuple[Json, Json]:
    """Return a wheel's types by name, and its provider's name and version."""
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(inner))) as package:
            types, about = (
                json.load(package.extractfile(f"package/{name}"))  # type: ignore[arg-type]
                for name in (".jsii", "package.json")
            )
    return types["types"], about["cdktf"]["provider"]


def schema_of(types: Json, wanted: Collection[str]) -> Json:
    """Return the schema of those wanted that the provider has; `data.` is before data sources."""
    schema: Json = {"resource_schemas": {}, "data_source_schemas": {}}
    for name, declared in types.items():
        base = declared.get("base", "")
        if base == "cdktn.TerraformProvider":
            schema["provider_block"] = _block(types, f"{name}Config")
        elif base in BASES and (found := re.search(r"@link \S+ (\w+)", _summary(declared))):
            is_data = base.endswith("DataSource")
            if f"{'data.' if is_data else ''}{found[1]}" in wanted:
                schema[BASES[base]][found[1]] = {"block": _block(types, f"{name}Config", name)}
    return schema


def _block(types: Json, declared: str, computed: str = "") -> Json:
    """Return a block: what may be set, and what the provider computes."""
    attributes: Json = {}
    blocks: Json = {}
    settable = types[declared].get("properties", [])
    for one in settable:
        kind, name, optional = _type(one["type"]), _name(one), bool(one.get("optional"))
        if isinstance(kind, Block):
            if kind[0] in types:
                blocks[name] = _nested(types, kind, name, optional)
        else:
            attributes[name] = {"type": kind, "optional": optional, "required": not optional}
            attributes[name]["computed"] = optional
    taken = {one["name"] for one in settable}
    for name, kind in _computed(types, computed, taken):
        if name not in blocks:
            attributes.setdefault(name, {"type": kind, "computed": True})
    return {"attributes": attributes, "block_types": blocks}


def _nested(types: Json, kind: Block, name: str, optional: bool) -> Json:
    declared, many = kind
    is_single = name == "timeouts"
    return {
        "block": _block(types, declared, f"{declared}OutputReference"),
        "nesting_mode": "single" if is_single else "list",
        "min_items": 0 if optional else 1,
        "max_items": 0 if many or is_single else 1,
    }


def _computed(types: Json, name: str, taken: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield what a class has beyond what may be set."""
    for one in types.get(name, {}).get("properties", []):
        own = one["name"]
        if own in taken or own in INTERNAL or own.endswith("Input") or one.get("static"):
            continue
        kind = _type(one["type"])
        yield _snake(own), _object(types, kind[0]) if isinstance(kind, Block) else kind


def _object(types: Json, name: str) -> Any:
    base = name.removesuffix("List").removesuffix("OutputReference")
    found = _computed(types, f"{base}OutputReference", ())
    return ["list", ["object", dict(found)]]


def _type(declared: Json) -> Any:
    """Return a type as Terraform writes it, or a Block."""
    if "primitive" in declared:
        return PRIMITIVE.get(declared["primitive"], "dynamic")
    if "union" in declared:
        some = [t for t in declared["union"]["types"] if t.get("fqn") != "cdktn.IResolvable"]
        return _type(some[0]) if some else "bool"
    if "collection" in declared:
        inner = _type(declared["collection"]["elementtype"])
        if isinstance(inner, Block):
            return Block((inner[0], True))
        return [{"array": "list", "map": "map"}[declared["collection"]["kind"]], inner]
    name = declared["fqn"]
    return MAPS.get(name[6:], "dynamic") if name.startswith("cdktn.") else Block((name, False))


def _name(declared: Json) -> str:
    """Return a property's name in Terraform: the one that its documentation links to."""
    found = LINK.search(_summary(declared) + declared.get("docs", {}).get("remarks", ""))
    return found[1] if found else _snake(declared["name"])


def _summary(declared: Json) -> str:
    return str(declared.get("docs", {}).get("summary", ""))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)
