"""Live environments: their URLs and credentials. A credential names where the secret is, never the secret."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tiercli.catalog.field_types import Duration, HostPort, Line, Model, Name, PlainName, check_url_port

Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s@]+$"),
    AfterValidator(check_url_port),
    Field(description="http or https, without credentials in it"),
]


class Credential(Model):
    """A secret in an environment variable or in a file. basic: the text is user:password."""

    scheme: Literal["bearer", "basic"] = "bearer"
    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="the environment variable that holds it"
    )
    file: Line | None = Field(default=None, description="the file that holds it, beside the catalog")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("a credential is in an environment variable (env) or in a file (file): name one")
        return self


class Endpoint(Model):
    """A server of an environment."""

    url: Url
    credential: Credential | None = None
    ca_file: Line | None = Field(
        default=None, description="certificates to verify its certificate with, beside the catalog"
    )


class ProviderEndpoint(Endpoint):
    """The endpoint of a provider in a region, or of one server of the local tier: `url` without the API's path (/v1/…).

    `tiercli proxy` listens for it at `listen` and passes its calls on with the credential, as `wire` demands.
    """

    provider: Name
    region: Name
    server: Name | None = Field(default=None, description="the server, of a provider that has servers")
    wire: Literal["openai", "anthropic"] = Field(default="openai", description="the API that it speaks")
    listen: HostPort = Field(
        default="127.0.0.1:0", description="host:port where tiercli proxy listens for it; 0: any port"
    )


class ProxyInjector(Endpoint):
    """The control API of a running `tiercli proxy`; the credential is its token."""


class ToxiproxyTarget(Model):
    """The endpoint behind one of Toxiproxy's proxies."""

    provider: Name
    region: Name
    server: Name | None = None


class ToxiproxyInjector(Endpoint):
    """A running Toxiproxy: its API, and the endpoint behind each of its proxies."""

    proxies: dict[Line, ToxiproxyTarget] = Field(min_length=1, description="by the proxy's name in Toxiproxy")


class OwnFault(Model):
    """A fault that the operator's own means cause. `target` is the target in the drills that use it."""

    fault: PlainName
    target: dict[str, Name] = {}
    within: Duration = Field(default="30s", description="how long turning it on or off may take")


class CommandInjector(OwnFault):
    """By commands: argument lists, run without a shell, in the catalog's folder. Both must be safe to repeat."""

    on: tuple[Line, ...] = Field(min_length=1)
    off: tuple[Line, ...] = Field(min_length=1)


class HookCall(Endpoint):
    """One HTTP request. Any 2xx is success."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: str | None = Field(default=None, description="sent unchanged, with the content type of JSON")


class HookInjector(OwnFault):
    """By HTTP. Both calls must be safe to repeat."""

    on: HookCall
    off: HookCall


class Injectors(Model):
    """What can cause faults here. Your own commands and hooks take precedence over the proxies."""

    proxy: ProxyInjector | None = None
    toxiproxy: ToxiproxyInjector | None = None
    commands: tuple[CommandInjector, ...] = ()
    hooks: tuple[HookInjector, ...] = ()


class Environment(Model):
    """One environment. `production`: nothing happens there unless it is named explicitly."""

    production: bool = False
    gateway: Endpoint | None = None
    tenants: dict[Name, Credential] = Field(
        default={}, description="the credential in a tenant's calls, if the gateway identifies tenants by their keys"
    )
    prometheus: Endpoint | None = None
    alertmanager: Endpoint | None = None
    grafana: Endpoint | None = Field(default=None, description="where drills add annotations")
    webhook: HostPort | None = Field(
        default=None,
        description="where tiercli listens during a drill, as a webhook receiver of this environment's Alertmanager: "
        "http://HOST:PORT/RECEIVER",
    )
    endpoints: tuple[ProviderEndpoint, ...] = Field(default=(), description="the endpoints of the providers")
    injectors: Injectors = Injectors()
    factor: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=1, description="how many times faster time runs in the rules of this environment"
    )
    spend_cap_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=1, description="the highest cost of a drill here, by the price book"
    )
