"""Who is notified: receivers, the receiver of each severity, and the teams. A secret is a file where Alertmanager runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tiercli.catalog.field_types import HostPort, Line, Model, PlainName

PlainUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^@\s?#]+$")]
MailAddresses = Annotated[str, StringConstraints(pattern=r"^[^@\r\n]+@[^\r\n]+$", max_length=500)]
IntegrationList = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*_configs$")]


class Webhook(Model):
    """A webhook. Its URL is written into the configuration, so it must not hold a secret."""

    url: PlainUrl
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


class Email(Model):
    """Mail, as plain text. A server that wants a login gets `auth_username` and the password in `auth_password_file`."""

    to: MailAddresses = Field(description="one address, or several with commas between them")
    from_: MailAddresses = Field(alias="from", description="the sender's address")
    smarthost: HostPort = Field(description="host:port of the mail server")
    auth_username: Line | None = None
    auth_password_file: Line | None = Field(
        default=None, description="a file with the password, where Alertmanager runs"
    )
    require_tls: bool = Field(default=True, description="refuse a mail server without TLS")

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        if (self.auth_username is None) != (self.auth_password_file is None):
            raise ValueError("auth_username and auth_password_file belong together")
        return self


class Opsgenie(Model):
    """An Opsgenie integration."""

    api_key_file: Line = Field(description="a file with the API key, where Alertmanager runs")
    api_url: PlainUrl | None = Field(
        default=None, description="of the API, where it is not that of the US: https://api.eu.opsgenie.com/"
    )
    priority: Literal["P1", "P2", "P3", "P4", "P5"] | None = None


class MsTeams(Model):
    """A Microsoft Teams channel, through a workflow's webhook. Needs Alertmanager 0.28 or later."""

    webhook_url_file: Line = Field(description="a file with the workflow's URL, where Alertmanager runs")


class Telegram(Model):
    """A Telegram chat. Needs Alertmanager 0.26 or later: before, the token could not be in a file."""

    bot_token_file: Line = Field(description="a file with the bot's token, where Alertmanager runs")
    chat_id: int = Field(description="a number; that of a group is negative")


class Receiver(Model):
    """Where notifications go. Without any of these, alerts stay in Alertmanager and notify nobody."""

    webhook: Webhook | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None
    email: Email | None = None
    opsgenie: Opsgenie | None = None
    msteams: MsTeams | None = None
    telegram: Telegram | None = None
    raw: dict[IntegrationList, tuple[dict[str, Any], ...]] | None = Field(
        default=None,
        description="lists of integrations as in Alertmanager's own configuration, such as victorops_configs, without secrets",
    )

    def kinds(self) -> tuple[str, ...]:
        """Its integrations, by the names that Alertmanager counts them under; none if it notifies nobody."""
        typed = [name for name in type(self).model_fields if name != "raw" and getattr(self, name) is not None]
        own = ["msteamsv2" if name == "msteams" else name for name in typed]
        return tuple(dict.fromkeys((*own, *self._raw_kinds())))

    def in_words(self) -> str:
        """Its integrations, for people; empty if it notifies nobody."""
        words = []
        if self.pagerduty is not None:
            words.append("PagerDuty")
        if self.opsgenie is not None:
            words.append("Opsgenie")
        if self.slack is not None:
            words.append(f"Slack {self.slack.channel}")
        if self.msteams is not None:
            words.append("Microsoft Teams")
        if self.telegram is not None:
            words.append(f"Telegram chat {self.telegram.chat_id}")
        if self.email is not None:
            words.append(f"email to {self.email.to}")
        if self.webhook is not None:
            words.append(f"webhook {self.webhook.url}")
        return ", ".join((*words, *self._raw_kinds()))

    def _raw_kinds(self) -> list[str]:
        return [key.removesuffix("_configs") for key, entries in (self.raw or {}).items() if entries]


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
