"""Load feed declarations: YAML with errors that name the line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from isopach.feeds.errors import DeclarationError, Fault, faults_of
from isopach.feeds.feed import Feed
from isopach.feeds.sites import Sites, load_sites

SHIPPED = Path(__file__).resolve().parent
SCHEMA = SHIPPED / "feed.schema.json"
SCHEMA_OF = Feed.model_json_schema()


class _Loader(yaml.SafeLoader):
    """YAML in which `on`, `no` and `yes` are words, as in YAML 1.2, and a field stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, name in enumerate(names):
            if name in names[:number]:
                mark = node.value[number][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands twice", mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":bool")]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


@dataclass(frozen=True)
class Declaration:
    """A feed with its sites, and the file they were declared in."""

    feed: Feed
    sites: Sites
    path: Path


def find_feed(name: str) -> Path:
    """Return the file of a feed given by path or by name (`feeds/NAME.yaml`, or a shipped one)."""
    given = Path(name)
    if given.suffix in (".yaml", ".yml"):
        return given
    for folder in (Path("feeds"), SHIPPED):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = sorted({p.stem for folder in (Path("feeds"), SHIPPED) for p in folder.glob("*.yaml")})
    raise DeclarationError(
        [
            Fault(
                name,
                None,
                "",
                f"no such feed: give a path to its YAML, or one of {', '.join(known)}",
            )
        ]
    )


def load_declaration(name: str) -> Declaration:
    """Load a feed and its sites; raises DeclarationError with every fault found."""
    path = find_feed(name)
    feed = load_feed(path)
    return Declaration(feed, load_sites(path.parent / feed.sites), path)


def load_feed(path: Path) -> Feed:
    """Load a feed declaration; raises DeclarationError."""
    data, root = load_mapping(path, "a feed is a mapping, `feed: name` first")
    try:
        return Feed.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        raise DeclarationError(
            _split(faults_of(error, str(path), lambda loc: line_of(root, loc), SCHEMA_OF), root)
        ) from error


def load_mapping(path: Path, otherwise: str) -> tuple[dict[str, Any], yaml.Node | None]:
    """Return what a YAML file says, with the nodes that know the lines; raises DeclarationError.

    Args:
        otherwise: what is said of a file that holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError([Fault(str(path), None, "", _reason(error))]) from error
    except yaml.YAMLError as error:
        raise DeclarationError([_not_yaml(error, path)]) from error
    if not isinstance(data, dict):
        raise DeclarationError([Fault(str(path), 1, "", otherwise)])
    return data, root


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _not_yaml(error: yaml.YAMLError, path: Path) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    known = isinstance(error, yaml.constructor.ConstructorError)
    message = problem if known else f"not YAML: {problem}"
    return Fault(str(path), mark.line + 1 if mark else None, "", message)


def _split(faults: list[Fault], root: yaml.Node | None) -> list[Fault]:
    """Give each problem of the whole feed its own fault, at the line of the field it names."""
    split = []
    for fault in faults:
        for message in fault.message.split("\n"):
            field = fault.field or message.split(":", 1)[0].strip()
            named = not fault.field and ":" in message and " " not in field
            line = line_of(root, tuple(field.split("."))) if named else fault.line
            text = message.split(":", 1)[1].strip() if named else message
            split.append(Fault(fault.file, line, field if named or fault.field else "", text))
    return split


def line_of(node: yaml.Node | None, loc: tuple[str | int, ...]) -> int | None:
    """Return the line of the deepest part of a location that the file has."""
    line = node.start_mark.line + 1 if node else None
    for step in loc:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value)
        ):
            found = (node.value[step], node.value[step])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def write_schema(path: Path = SCHEMA) -> None:
    """Write the JSON Schema of a feed declaration, for editors."""
    path.write_text(json.dumps(SCHEMA_OF, indent=2) + "\n")
