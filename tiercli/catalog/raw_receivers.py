"""What `raw` of a receiver may hold: anything that Alertmanager accepts, but no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tiercli.catalog.document import KeyPath
from tiercli.catalog.view import CatalogView
from tiercli.errors import Problem

_SECRET_KEY = re.compile(
    r"(key|token|token_id|password|passwd|secrets?|credentials|authorization|cookie|webhook_url)$", re.IGNORECASE
)
# By integration: its keys that are secrets, or not, against their names.
_SECRET = {("slack_configs", "api_url")}
_NO_SECRET = {("victorops_configs", "routing_key")}
_SECRET_IN_URL = re.compile(
    r"://[^\s/@]*@"
    r"|[?&][^=&#\s]*(key|token|secret|password|sig|signature)=[^&#\s]"
    r"|hooks\.slack\.com/|discord(app)?\.com/api/webhooks/|\.webhook\.office\.com/|api\.telegram\.org/bot",
    re.IGNORECASE,
)
# Text that Alertmanager takes from the alert.
_FROM_ALERT = re.compile(r"\{\{-?\s*\.[\w.]+\s*-?\}\}")


def check_raw_receivers(view: CatalogView) -> Iterator[Problem]:
    """A problem at every value below `raw` that is a secret or looks like one. None of them quotes it."""
    accepted = "a key that ends in _file, with a file where Alertmanager runs"
    for name, receiver in view.catalog.receivers.items():
        for integration, entries in (receiver.raw or {}).items():
            for position, entry in enumerate(entries):
                for path, found in secrets_in(integration, entry):
                    place = view.at("receivers", name, "raw", integration, position, *path)
                    yield Problem(place, f"{found} of {integration} looks like a secret", accepted)


def secrets_in(integration: str, entry: Mapping[str, Any]) -> list[tuple[KeyPath, str]]:
    """The places in one entry of an integration list that hold a secret, each with the key or the URL that looks like one."""
    return [(path, found) for path, value in _values(entry, ()) if (found := _secret(integration, path, value))]


def _values(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Every value that is no mapping and no list, and its place in `value`."""
    if isinstance(value, (Mapping, list)):
        for part, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _values(inner, (*path, part))
    else:
        yield path, value


def _secret(integration: str, path: KeyPath, value: Any) -> str:
    """What of a value looks like a secret: one of the keys that lead to it, or a URL; empty when nothing does."""
    keys = [part for part in path if isinstance(part, str)]
    if value is None or isinstance(value, bool) or not keys or _FROM_ALERT.fullmatch(str(value)):
        return ""
    last = keys[-1]
    if last.endswith("_file") or last in ("files", "type") or (integration, last) in _NO_SECRET:
        return ""
    named = [key for key in keys if _SECRET_KEY.search(key) or (integration, key) in _SECRET]
    if named:
        return named[-1]
    return f"the URL in {last}" if isinstance(value, str) and _SECRET_IN_URL.search(value) else ""
