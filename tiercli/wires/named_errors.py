"""Errors inside an answer: what servers and gateways call them, in the contract's structured error codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiercli.signals.contract import UNCLASSIFIED
from tiercli.signals.error_codes import code_of

REFUSED = "refused"  # a filter's answer, which some servers give in the form of an error

# Lower case, without what stands between words, and without "error" or "exception" at the end: OpenAI's `rate_limit_error`,
# vLLM's `RateLimitError`, Google's `RESOURCE_EXHAUSTED`, Bedrock's `ThrottlingException`, TGI's `overloaded`.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "RATE_LIMITED": (
        "ratelimit",
        "ratelimited",
        "ratelimitexceeded",
        "ratelimitreached",
        "toomanyrequests",
        "overloaded",
        "engineoverloaded",
        "throttling",
        "throttled",
        "resourceexhausted",
        "insufficientquota",
        "quotaexceeded",
        "servicequotaexceeded",
        "requestlimitexceeded",
        "tokenlimitexceeded",
    ),
    "UPSTREAM_ERROR": (
        "api",
        "server",
        "internal",
        "internalserver",
        "serviceunavailable",
        "unavailable",
        "badgateway",
        "upstream",
        "apiconnection",
        "engine",
        "model",
        "modelstream",
        "modelnotready",
        "generation",
        "incompletegeneration",
    ),
    "UPSTREAM_TIMEOUT": (
        "timeout",
        "timedout",
        "apitimeout",
        "requesttimeout",
        "gatewaytimeout",
        "modeltimeout",
        "upstreamtimeout",
        "deadlineexceeded",
    ),
    "INVALID_REQUEST": (
        "invalidrequest",
        "badrequest",
        "invalidargument",
        "invalidprompt",
        "invalidparameter",
        "validation",
        "unprocessableentity",
        "unsupportedparameter",
        "contextlengthexceeded",
        "contextwindowexceeded",
        "exceedcontextsize",
    ),
    "AUTH_FAILED": (
        "authentication",
        "permission",
        "permissiondenied",
        "unauthenticated",
        "unauthorized",
        "forbidden",
        "accessdenied",
        "invalidapikey",
        "invalidauthentication",
        "expiredtoken",
        "unrecognizedclient",
    ),
    "MODEL_NOT_FOUND": (
        "notfound",
        "modelnotfound",
        "modeldecommissioned",
        "modeldeprecated",
        "modelnotavailable",
        "deploymentnotfound",
        "resourcenotfound",
    ),
    REFUSED: ("contentfilter", "contentpolicyviolation", "responsibleaipolicyviolation"),
}
_CODES = {name: code for code, names in _NAMES.items() for name in names}
# Where an error is named, the most exact first.
_FIELDS = ("code", "type", "status", "error_type", "statusCode", "status_code", "name")
_DEEPEST = 4
_SUFFIX = re.compile(r"(error|exception)+$")


def code_of_error(error: Any) -> str:
    """The structured code of an error inside an answer with status 200: an object, a list of one, a name, a text or a status.
    UPSTREAM_UNCLASSIFIED for one that nothing tells; REFUSED for a filter's refusal; "" where there is none (null, false, an
    empty text or object)."""
    return (_classified(error, _DEEPEST) or UNCLASSIFIED) if error else ""


def _classified(error: Any, depth: int) -> str:
    if isinstance(error, list):
        error = error[0] if error else None
    if isinstance(error, Mapping) and depth:
        named = (_code_of_name(error.get(field)) for field in _FIELDS)
        return next(filter(None, named), "") or _classified(error.get("error"), depth - 1)
    return _code_of_name(error)


def _code_of_name(value: Any) -> str:
    if isinstance(value, str):
        text = value.strip()
        if not (len(text) == 3 and text.isascii() and text.isdecimal()):
            return _CODES.get(_SUFFIX.sub("", re.sub(r"[^a-z]", "", text.lower())), "")
        value = int(text)
    if isinstance(value, int | float) and not isinstance(value, bool) and 400 <= value < 600:
        code = code_of(int(value))
        return "" if code == UNCLASSIFIED else code
    return ""
