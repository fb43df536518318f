"""What Prometheus makes of the Go templates that alarm files can write: labels, and a value in a few formats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote_plus


def expand_template(text: str, labels: Mapping[str, str], value: float) -> str:
    """`text` as the annotation of an alert with these labels and this value. Raises KeyError for a template that
    alarm files cannot write."""

    def replace(match: re.Match[str]) -> str:
        expression = match[1].strip()
        if expression.startswith("$labels."):
            name, _, pipe = expression.removeprefix("$labels.").partition("|")
            found = labels.get(name.strip(), "")
            return query_escape(found) if pipe.strip() == "urlquery" else found
        formats = {
            '$value | printf "%.0f"': f"{value:.0f}",
            '$value | printf "%.2f"': f"{value:.2f}",
            '$value | printf "%.3g"': f"{value:.3g}",
            "$value | humanizePercentage": f"{value * 100:.4g}%",
        }
        return formats[expression]

    return re.sub(r"\{\{(.*?)\}\}", replace, text)


def query_escape(text: str) -> str:
    """As Go's url.QueryEscape, which the template function urlquery calls: space is a plus sign."""
    return quote_plus(text, safe="~")
