"""A catalog as YAML that reads back as the same catalog."""

from __future__ import annotations

import re

import yaml

from tiercli.catalog.model import Catalog

# What some reader of YAML, of version 1.1 or 1.2, takes for something else than text.
_DOUBTFUL = re.compile(r"[-+.~0-9].*|true|false|null|yes|no|on|off|y|n|<<|=", re.IGNORECASE | re.DOTALL)


class _Dumper(yaml.SafeDumper):
    """Quotes whatever could be read as a number, a date, a truth value or nothing."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _DOUBTFUL.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_catalog(catalog: Catalog) -> str:
    """`catalog` as YAML, defaults written out."""
    resolved = catalog.model_dump(mode="json", by_alias=True, exclude_none=True)
    return str(yaml.dump(resolved, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
