"""Where an estate really runs: the URLs of an environment, and how to get in. Never a secret: where one is found."""

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
        default=None, description="certificates that its own is checked by, beside the catalog"
    )


class ProviderEndpoint(Endpoint):
    """Where a provider answers in a region, or one server of the local tier: `url` without the API's own path (/v1/…).

    `tiercli proxy` listens for it at `listen` and passes its calls on with the credential, as `wire` demands.
    """

    provider: Name
    region: Name
    server: Name | None = Field(default=None, description="the server, of a provider that has servers")
    wire: Literal["openai", "anthropic"] = Field(default="openai", description="the API that it speaks")
    listen: HostPort = Field(
        default="127.0.0.1:0", description="host:port where tiercli proxy stands for it; 0: any port"
    )


class ProxyInjector(Endpoint):
    """The control API of a running `tiercli proxy`; the credential is its token."""


class ToxiproxyTarget(Model):
    """What one of Toxiproxy's proxies stands before."""

    provider: Name
    region: Name
    server: Name | None = None


class ToxiproxyInjector(Endpoint):
    """A running Toxiproxy: its API, and what each of its proxies stands before."""

    proxies: dict[Line, ToxiproxyTarget] = Field(min_length=1, description="by the name that Toxiproxy has for it")


class OwnFault(Model):
    """A fault on a target that the operator brings about himself. `target` is that of the drills that want it."""

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
    body: str | None = Field(default=None, description="sent as it stands, as JSON by its content type")


class HookInjector(OwnFault):
    """By HTTP. Both calls must be safe to repeat."""

    on: HookCall
    off: HookCall


class Injectors(Model):
    """What can bring faults about here. A command or a hook of one's own goes before the proxies."""

    proxy: ProxyInjector | None = None
    toxiproxy: ToxiproxyInjector | None = None
    commands: tuple[CommandInjector, ...] = ()
    hooks: tuple[HookInjector, ...] = ()


class Environment(Model):
    """One environment. `production`: nothing happens there unless it is named."""

    production: bool = False
    gateway: Endpoint | None = None
    tenants: dict[Name, Credential] = Field(
        default={}, description="what the calls of a tenant carry, where the gateway knows tenants by their keys"
    )
    prometheus: Endpoint | None = None
    alertmanager: Endpoint | None = None
    grafana: Endpoint | None = Field(default=None, description="where drills are annotated")
    webhook: HostPort | None = Field(
        default=None,
        description="where tiercli listens during a drill, a webhook receiver of this environment's Alertmanager: "
        "http://HOST:PORT/RECEIVER",
    )
    endpoints: tuple[ProviderEndpoint, ...] = Field(default=(), description="where the providers answer")
    injectors: Injectors = Injectors()
    factor: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=1, description="how many times faster time runs in the rules that this environment has"
    )
    spend_cap_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=1, description="the most that a drill may cost here, by the price book"
    )
