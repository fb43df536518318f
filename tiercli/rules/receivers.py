"""Receivers as Alertmanager reads them, and which of them an alarm's alerts go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.catalog.receivers import Email, Opsgenie, PagerDuty, Receiver, Slack, Webhook
from tiercli.conventions import HEARTBEAT
from tiercli.rules.alarm import Alarm
from tiercli.rules.deployment import Deployment
from tiercli.rules.policies import Policies
from tiercli.signals.timing import Timing

_TITLE = "[{{ .Status | toUpper }}] {{ .CommonAnnotations.summary }}"
_RUNBOOK = "{{ .CommonAnnotations.runbook_url }}"
_TEXT = (
    "{{ range .Alerts }}{{ .Annotations.description }}\n{{ .Annotations.action }}\n"
    "{{ .Annotations.dashboard_url }}\n{{ end }}"
)
_DETAILS = {
    "action": "{{ .CommonAnnotations.action }}",
    "runbook": _RUNBOOK,
    "dashboard": "{{ .CommonAnnotations.dashboard_url }}",
}


def build_receiver(name: str, receiver: Receiver, deployment: Deployment, prefix: str = "") -> dict[str, Any]:
    """A receiver with its integrations; secrets are files where Alertmanager runs, never values.

    In a sandbox the integrations become one webhook to the drill's receiver; a receiver without integrations stays empty.
    """
    built: dict[str, Any] = {"name": prefix + name}
    if deployment.receiver_base is not None:
        if receiver.kinds():
            built["webhook_configs"] = [{"url": f"{deployment.receiver_base}/{name}", "send_resolved": True}]
        return built
    for key, settings in _integrations(receiver):
        # `raw` may add to a list, and say itself whether it hears of what is resolved.
        built.setdefault(key, []).append(
            settings if "send_resolved" in settings else {**settings, "send_resolved": True}
        )
    return built


def receiver_of(catalog: Catalog, severity: str, owner: str) -> str:
    """The receiver of alerts of a severity and an owner."""
    default: str = getattr(catalog.routing, severity)
    return default if severity == HEARTBEAT else getattr(catalog.owners[owner], severity) or default


def receivers_of(catalog: Catalog, alarm: Alarm, timing: Timing) -> tuple[str, ...]:
    """Every receiver that alerts of an alarm can go to, that of its own severity and owner first."""
    destinations = Policies(catalog, alarm, timing).destinations()
    return tuple(dict.fromkeys(receiver_of(catalog, severity, owner) for severity, owner in destinations))


def receiver_in_words(catalog: Catalog, name: str) -> str:
    """A receiver's name and what it notifies."""
    return f"{name} ({catalog.receivers[name].in_words() or 'notifies nobody'})"


def _integrations(receiver: Receiver) -> Iterator[tuple[str, dict[str, Any]]]:
    """The integrations of a receiver, each with the list of Alertmanager's that it belongs to."""
    if receiver.webhook is not None:
        yield "webhook_configs", _webhook(receiver.webhook)
    if receiver.slack is not None:
        yield "slack_configs", _slack(receiver.slack)
    if receiver.pagerduty is not None:
        yield "pagerduty_configs", _pagerduty(receiver.pagerduty)
    if receiver.email is not None:
        yield "email_configs", _email(receiver.email)
    if receiver.opsgenie is not None:
        yield "opsgenie_configs", _opsgenie(receiver.opsgenie)
    if receiver.msteams is not None:
        file = receiver.msteams.webhook_url_file
        # Teams takes one line break for a space.
        text = _TEXT.replace("\n", "\n\n") + _RUNBOOK
        yield "msteamsv2_configs", {"webhook_url_file": file, "title": _TITLE, "text": text}
    if receiver.telegram is not None:
        yield (
            "telegram_configs",
            {
                "bot_token_file": receiver.telegram.bot_token_file,
                "chat_id": receiver.telegram.chat_id,
                "message": f"{_TITLE}\n\n{_TEXT}{_RUNBOOK}",
                "parse_mode": "HTML",  # Alertmanager then escapes what comes from an alert
            },
        )
    for key, entries in (receiver.raw or {}).items():
        for entry in entries:
            yield key, dict(entry)


def _webhook(webhook: Webhook) -> dict[str, Any]:
    # Newer Alertmanagers expand templates in a URL, and a URL has no braces anyway.
    built: dict[str, Any] = {"url": _without_braces(webhook.url)}
    if webhook.credentials_file is not None:
        built["http_config"] = {"authorization": {"credentials_file": webhook.credentials_file}}
    return built


def _slack(slack: Slack) -> dict[str, Any]:
    return {
        "api_url_file": slack.api_url_file,
        "channel": _literal(slack.channel),
        "title": _TITLE,
        "title_link": _RUNBOOK,
        "text": _TEXT,
    }


def _pagerduty(pagerduty: PagerDuty) -> dict[str, Any]:
    return {
        "routing_key_file": pagerduty.routing_key_file,
        "description": _TITLE,
        "details": _DETAILS,
    }


def _email(email: Email) -> dict[str, Any]:
    built: dict[str, Any] = {
        "to": _literal(email.to),
        "from": _literal(email.from_),
        "smarthost": email.smarthost,
        "require_tls": email.require_tls,
        "headers": {"Subject": _TITLE},
        "text": _TEXT + _RUNBOOK,
        "html": "",  # Alertmanager's own page of HTML otherwise
    }
    if email.auth_username is not None:
        built |= {"auth_username": email.auth_username, "auth_password_file": email.auth_password_file}
    return built


def _opsgenie(opsgenie: Opsgenie) -> dict[str, Any]:
    built: dict[str, Any] = {
        "api_key_file": opsgenie.api_key_file,
        "message": _TITLE,
        "description": _TEXT,
        "details": _DETAILS,
    }
    if opsgenie.api_url is not None:
        built["api_url"] = _without_braces(opsgenie.api_url)
    if opsgenie.priority is not None:
        built["priority"] = opsgenie.priority
    return built


def _literal(text: str) -> str:
    """`text` in a template that gives it back as it is."""
    return text.replace("{{", '{{"{{"}}')


def _without_braces(url: str) -> str:
    return url.replace("{", "%7B").replace("}", "%7D")
