"""
YAML text into plain nodes, refusing what YAML lets pass and a person never means.

A key twice in one mapping silently loses one of the two; here it is an error, like syntax.
"""

from typing import Any

import yaml

from scaler.errors import ConfigurationError, Problem


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, and keeps timestamps as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the overridden signature
        names = [key.value for key, _ in node.value if key.value != "<<"]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} is there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _as_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def documents_of(text: str, origin: str) -> list[Any]:
    """
    Return the documents of a YAML text, empty ones left out.

    Raises:
        ConfigurationError: it is not YAML; ``origin`` (a file's name) is the field.
    """
    try:
        nodes = list(yaml.load_all(text, Loader=_StrictLoader))
    except yaml.YAMLError as error:
        raise ConfigurationError(
            Problem(field=origin, got=_in_one_line(error), allowed="YAML")
        ) from error
    return [node for node in nodes if node is not None]


def _in_one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())
