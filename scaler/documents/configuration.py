"""The configuration file (YAML) read into a Configuration: every problem at once, with its path."""

import pathlib

from scaler.configuration import Configuration
from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text

from .engines import engine_profiles
from .gateways import gateway_profiles
from .nodes import read_into
from .yaml_text import documents_of


def read_configuration(text: str, origin: str = "configuration") -> Configuration:
    """
    Return what a configuration says; an empty one is the default one.

    ``origin`` names the text (a file) where it is no YAML at all.

    Raises:
        ConfigurationError: with every problem there is.
    """
    documents = documents_of(text, origin)
    if len(documents) > 1:
        raise ConfigurationError(
            Problem(field=origin, got=f"{len(documents)} documents", allowed="one")
        )
    read = read_into(Configuration, documents[0]) if documents else Configuration()
    # A wrong engine or gateway is told at the start, not at the first workload of it.
    engine_profiles(read)
    gateway_profiles(read)
    return read


def load_configuration(path: pathlib.Path | None) -> Configuration:
    """
    Return what the file says; None: the default one.

    Raises:
        ConfigurationError: it cannot be read, or is wrong.
    """
    return Configuration() if path is None else read_configuration(read_text(path), str(path))
