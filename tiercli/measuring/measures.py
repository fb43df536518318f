"""Each measured call becomes an audit record, and the contract's metrics are counted from the same records: log and metrics
agree, and a name that the catalog does not have becomes no label.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family

from tiercli.audit.audit_log import LINE_END, AuditLog, audit_line
from tiercli.audit.identity import caller_of, credential_id
from tiercli.audit.record import ANSWERED, CLIENT_CLOSED, AuditRecord, Considered, ModelUsed, Route, Usage
from tiercli.catalog.model import Catalog
from tiercli.exporters.audit_tally import Tally
from tiercli.exporters.contract_families import contract_family
from tiercli.faults.proxy.observing import Observation
from tiercli.measuring.observed_call import ObservedCall
from tiercli.measuring.place import OWN_HEADERS, Names, Place
from tiercli.signals.contract import FAILURE, SUCCESS
from tiercli.signals.label_policy import metric_policies
from tiercli.wires.interface import Wire
from tiercli.wires.request import estimated_input_tokens, read_request

READ_LIMIT = 32 << 20
SERVED_REGION_HEADER = "x-served-region"
_REQUEST_IDS = ("x-request-id", "request-id")  # OpenAI's and Anthropic's
_LONGEST_ID = 128  # characters
_LONGEST_REGION = 2400  # characters, percent-encoded
_FLUSH_S = 0.005
_REASON = "called directly"
_PLACE = ("provider", "region", "server")


class Measures:
    """Counts the calls of every measured route, and is a collector of prometheus_client. Safe between two threads."""

    def __init__(
        self, catalog: Catalog, audit: AuditLog, *, hash_callers: bool = False, read_limit: int = READ_LIMIT
    ) -> None:
        """`hash_callers`: records have a hash of each caller, as they do if the catalog wants it. `read_limit`: bytes of a request,
        and of an answer that is no stream, that are read."""
        self._catalog, self._audit = catalog, audit
        self._read_limit = read_limit
        self._hash_callers = hash_callers or catalog.audit.hash_callers
        self._price_book = catalog.price_book.version
        self._tally = Tally(catalog)
        self._policies = metric_policies(catalog)
        self._lock = threading.Lock()
        self._places: list[Place] = []
        self._estimated: Counter[Place] = Counter()
        self._unread: Counter[Place] = Counter()
        self._unread_requests: Counter[Place] = Counter()
        self._unmeasured: Counter[Place] = Counter()
        self._ended: list[tuple[Place, ObservedCall]] = []
        self._flush: asyncio.TimerHandle | None = None
        self.calls = self.failed = 0

    def observer(self, place: Place, wire: Wire) -> RouteObserver:
        """An observer of the route of `place`."""
        self._places.append(place)
        return RouteObserver(self, place, wire, self._read_limit)

    def pass_over(self, place: Place) -> None:
        """Count a request that is not measured."""
        with self._lock:
            self._unmeasured[place] += 1

    def note(self, place: Place, call: ObservedCall) -> None:
        """A call has ended. It is counted a moment later, together with others that end now: that costs less, and the client has
        its answer first."""
        self._ended.append((place, call))
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_S, self.count_ended)

    def count_ended(self) -> None:
        """Count the calls that have ended, and write their records."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        ended, self._ended = self._ended, []
        if not ended:
            return
        records = [self._record(place, call) for place, call in ended]
        lines = [audit_line(record) for record in records]
        written = self._audit.write(lines)
        with self._lock:
            for number, (record, line, (place, call)) in enumerate(zip(records, lines, ended, strict=True)):
                self._tally.add(record, size=len(line) + LINE_END, written=number < written)
                self.failed += record.status == FAILURE
                if record.usage_estimated:
                    self._estimated[place] += 1
                if not call.readable:
                    self._unread[place] += 1
            self.calls += len(records)

    def collect(self) -> Iterable[Family]:
        """The metrics as they are now."""
        with self._lock:
            counted = self._tally.counted.copy()
            own = list(self._own_families())
        yield from counted.families(self._policies, {})  # no evals are run here
        yield contract_family("ai_gateway_up", {(): float(self._audit.healthy)}, self._policies)
        yield from own

    def _own_families(self) -> Iterator[Family]:
        unknown = CounterMetricFamily(
            "tiercli_proxy_unknown_names",
            "Names in calls that the catalog does not have; their labels are empty.",
            labels=(*_PLACE, "of"),
        )
        for place in self._places:
            for of, count in list(place.unknown.items()):
                unknown.add_metric((place.provider, place.region, place.server or "", of), count)
        yield unknown
        for name, text, counts in (
            (
                "estimated_usage",
                "Calls whose answer did not state its tokens; they were estimated.",
                self._estimated,
            ),
            ("unread_answers", "Answers that could not be read whole: too long, or encoded otherwise.", self._unread),
            (
                "unread_requests",
                "Requests whose model could not be read: too long, encoded otherwise, or without one. The answer's was taken.",
                self._unread_requests,
            ),
            ("unmeasured_requests", "Requests that are not calls of a model.", self._unmeasured),
        ):
            family = CounterMetricFamily(f"tiercli_proxy_{name}", text, labels=_PLACE)
            for place in self._places:
                family.add_metric((place.provider, place.region, place.server or ""), counts[place])
            yield family

    def _record(self, place: Place, call: ObservedCall) -> AuditRecord:
        header, code, reading = call.headers, call.code(), call.reading()
        request = read_request(call.request.content, cut=call.request.cut)
        if not request.model_name:
            with self._lock:
                self._unread_requests[place] += 1
        tenant, feature, alias, _ = (header.get(name, "") for name in OWN_HEADERS)
        names = place.names(tenant, feature, alias, request.model_name or reading.model)
        served = (
            urllib.parse.unquote(call.answer_headers.get(SERVED_REGION_HEADER, "")[:_LONGEST_REGION]) or place.region
        )
        usage, estimated = _usage(call, code)
        cost = place.cost_usd(names.model, usage, call.seconds)
        if cost is None and code:
            cost = 0.0  # nothing came of it: nothing is owed
        answered = not code
        step = names.step if answered else None
        return AuditRecord(
            at=round(time.time(), 3),
            request_id=_request_id(call.answer_headers),
            tenant=names.tenant or None,
            credential_id=credential_id(header, call.wire.credential_headers),
            caller=caller_of(header, request.caller, hide=self._hash_callers),
            feature=names.feature or None,
            model_alias=names.alias or None,
            model_used=ModelUsed(place.provider, names.model, served) if answered else None,
            usage=usage,
            usage_estimated=estimated,
            cost_usd=None if cost is None else round(cost, 9),
            price_book_version=self._price_book,
            cache_status="none",
            fallback_step=step,
            degraded=bool(step),
            primary_failure_reason=code or None,
            route_resolution=_resolution(place, names, call, code, usage),
            status=FAILURE if code else SUCCESS,
            code=code or None,
            http_status=call.status,
            latency_s=round(call.seconds, 6),
            ttft_s=None if call.ttft_s is None else round(call.ttft_s, 6),
            region=served,
            refusal="model" if answered and reading.refused else None,
        )


class RouteObserver:
    """Observes one route."""

    def __init__(self, measures: Measures, place: Place, wire: Wire, read_limit: int) -> None:
        self._measures, self._place, self._wire, self._read_limit = measures, place, wire, read_limit

    def begin(self, method: str, path: str, headers: Mapping[str, str]) -> Observation | None:
        """A request arrives; None if it is not a call of a model."""
        if method != "POST":
            return None
        if not self._wire.serves(path):
            self._measures.pass_over(self._place)
            return None
        return ObservedCall(self._wire, headers, self._count, self._read_limit)

    def _count(self, call: ObservedCall) -> None:
        self._measures.note(self._place, call)


def _usage(call: ObservedCall, code: str) -> tuple[Usage | None, bool]:
    """The tokens of a call, and whether they were estimated because the answer does not state them; None if there are none, or
    they cannot be known."""
    reading, usage = call.reading(), call.reading().usage
    if usage is None and (not reading.content or (code and not call.streams)):
        return None, False
    if reading.tokens.fresh is not None and usage is not None:
        return usage, reading.estimated
    request = call.request
    estimated = estimated_input_tokens(request.content, cut=request.cut, size=request.size)
    return Usage(estimated, reading.output[0] if usage is None else usage.output_tokens), True


def _resolution(place: Place, names: Names, call: ObservedCall, code: str, usage: Usage | None) -> Route:
    """The one candidate. If the client did not wait, it does not count as tried: its result is not known."""
    tried = code != CLIENT_CLOSED or call.reading().content
    candidate = Considered(
        result=ANSWERED if code in ("", CLIENT_CLOSED) and tried else code,
        provider=place.provider,
        model_version=names.model,
        region=place.region,
        latency_s=round(call.seconds, 6) if tried else None,
        ttft_s=None if call.ttft_s is None else round(call.ttft_s, 6),
        usage=usage,
    )
    selected = None if code else f"{place.provider}/{names.model}/{place.region}"
    return Route(considered=(candidate,), fallbacks=(), selected=selected, reason=_REASON)


def _request_id(headers: Mapping[str, str]) -> str:
    """The provider's own id, which it can look the call up by; else one of this proxy."""
    for name in _REQUEST_IDS:
        request_id = headers.get(name, "")
        if 0 < len(request_id) <= _LONGEST_ID and request_id.isascii() and request_id.isprintable():
            return request_id
    return secrets.token_hex(16)
