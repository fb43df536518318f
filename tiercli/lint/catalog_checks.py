"""Checks of a catalog by later stages, in the same pass as its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tiercli.cardinality.budgets import check_budgets
from tiercli.catalog.loading import Check, LoadedCatalog
from tiercli.errors import InvalidInput, Problem
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.deployment import timing_of
from tiercli.signals.sources import catalog_sources


def further_checks(template_folders: Sequence[Path] = (), *, with_cases: bool = True) -> tuple[Check, ...]:
    """The checks of metric names, source bindings, policies, what is dropped, declared faults, and alarms with their thresholds. `template_folders`
    hold an operator's own alarm files; without cases, loading them takes half the time."""

    def check_metrics(loaded: LoadedCatalog) -> list[Problem]:
        return check_budgets(loaded.catalog, loaded.document)

    def check_sources(loaded: LoadedCatalog) -> list[Problem]:
        written = loaded.document.value.get("gateway")
        if not isinstance(written, dict) or written.get("binding") != loaded.catalog.gateway.binding:
            return []  # invalid, and reported as that
        return _source_problems(loaded)

    def check_alarms(loaded: LoadedCatalog) -> list[Problem]:
        if not any(loaded.catalog.offers()) or not loaded.catalog.owners:
            return []  # rendering an alarm needs a valid offer and owner
        try:
            load_alarm_set(loaded, timing_of(loaded.catalog), template_folders, with_cases=with_cases)
        except InvalidInput as error:
            of_sources = _source_problems(loaded)
            return [problem for problem in error.problems if problem not in of_sources]
        return []

    def check_policies(loaded: LoadedCatalog) -> list[Problem]:
        if not loaded.catalog.cardinality.policy or not any(loaded.catalog.offers()) or not loaded.catalog.owners:
            return []
        from tiercli.lint.policy_checks import check_policy  # builds dashboards, which most catalogs do not need here

        try:
            return check_policy(loaded, template_folders)
        except InvalidInput:
            return []  # invalid alarms, and reported as that

    def check_dropped(loaded: LoadedCatalog) -> list[Problem]:
        drop = loaded.catalog.cardinality.drop
        if not (drop.metrics or drop.labels) or not any(loaded.catalog.offers()) or not loaded.catalog.owners:
            return []
        from tiercli.lint.drop_checks import check_drops  # builds dashboards, as the policies do

        try:
            return check_drops(loaded, template_folders)
        except InvalidInput:
            return []  # invalid alarms, and reported as that

    def check_environments(loaded: LoadedCatalog) -> list[Problem]:
        if not any(
            environment.injectors.commands or environment.injectors.hooks
            for environment in loaded.catalog.environments.values()
        ):
            return []
        from tiercli.faults.environment.check import (
            check_own_faults,
        )  # httpx, which few catalogs need

        return check_own_faults(loaded)

    return (check_metrics, check_sources, check_alarms, check_policies, check_dropped, check_environments)


def _source_problems(loaded: LoadedCatalog) -> list[Problem]:
    try:
        catalog_sources(loaded)
    except InvalidInput as error:
        return list(error.problems)
    return []
