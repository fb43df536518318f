"""Where an estate really runs: the URLs of an environment, and how to get in. Never a secret: where one is found."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tiercli.catalog.field_types import Line, Model

Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s@]+$"),
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


class Environment(Model):
    """One environment. `production`: nothing happens there unless it is named."""

    production: bool = False
    gateway: Endpoint | None = None
    prometheus: Endpoint | None = None
    alertmanager: Endpoint | None = None
