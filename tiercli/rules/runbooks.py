"""The runbook of an alarm, in Markdown, for the person who is paged."""

from __future__ import annotations

from functools import lru_cache

import jinja2

from tiercli.catalog.model import Catalog
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_templates import template_environment
from tiercli.rules.receivers import receiver_in_words, receivers_of
from tiercli.rules.thresholds import limits_of
from tiercli.signals.timing import Timing


def render_runbook(catalog: Catalog, alarm: Alarm, timing: Timing) -> str:
    """The runbook of one alarm, with this catalog's thresholds, owner, contact and receivers."""
    limits = limits_of(catalog, alarm.alarm, alarm.thresholds)
    receivers = [receiver_in_words(catalog, name) for name in receivers_of(catalog, alarm, timing)]
    contact = catalog.owners[alarm.owner].contact
    text = _template(timing).render(alarm=alarm, contact=contact, receivers=receivers, limits=limits)
    return text.rstrip("\n") + "\n"


@lru_cache(maxsize=8)
def _template(timing: Timing) -> jinja2.Template:
    environment = template_environment(timing)
    environment.lstrip_blocks = True
    environment.filters["cell"] = markdown_cell
    path = resource_folder("templates") / "runbooks" / "runbook.md.j2"
    return environment.from_string(path.read_text(encoding="utf-8"))


def markdown_cell(text: str) -> str:
    """`text` for a Markdown table, escaped so that it cannot end the cell or begin markup."""
    escaped = "".join("\\" + char if char in "\\`*_{}[]<>#|!" else char for char in text)
    return " ".join(escaped.split())
