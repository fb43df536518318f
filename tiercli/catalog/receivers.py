"""Who is notified: receivers, the receiver of each severity, and the teams."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from tiercli.catalog.field_types import Line, Model, PlainName


class Webhook(Model):
    """A webhook. Its URL is written into the configuration, so it must not hold a secret."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s?#]+$")]
    credentials_file: Line | None = Field(
        default=None, description="a file with a bearer token, where Alertmanager runs"
    )


class Slack(Model):
    """A Slack channel."""

    api_url_file: Line = Field(description="a file with the webhook's URL, where Alertmanager runs")
    channel: Line = Field(description="with its #")


class PagerDuty(Model):
    """A PagerDuty service."""

    routing_key_file: Line = Field(description="a file with the routing key, where Alertmanager runs")


class Receiver(Model):
    """Where notifications go. Without any of the three, alerts stay in Alertmanager and notify nobody."""

    webhook: Webhook | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None


class Routing(Model):
    """The receiver of each severity, unless an owner has its own, and of Watchdog's heartbeat."""

    page: PlainName
    notify: PlainName
    trend: PlainName
    heartbeat: PlainName


class Owner(Model):
    """A team. Severities without a receiver here go to the receiver in `routing`."""

    contact: Line = Field(description="how to reach the team, for runbooks")
    page: PlainName | None = Field(default=None, description="the receiver of its pages")
    notify: PlainName | None = Field(default=None, description="the receiver of its notifications")
    trend: PlainName | None = Field(default=None, description="the receiver of its trends")
