"""The large estate is as large as it says, the same in every form, and generates no more alert rules than a small one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench.large_estate import FORMS, write_large_estate
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.output.tree import RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> LoadedCatalog:
    return load_catalog(write_large_estate(tmp_path_factory.mktemp("large"), "csv"))


def rules_of(loaded: LoadedCatalog) -> list[dict[str, Any]]:
    tree = render_tree(loaded, Deployment.production(loaded.catalog))
    content = yaml.load(tree[RULES_PATH], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_it_is_as_large_as_it_says(large: LoadedCatalog) -> None:
    catalog = large.catalog
    assert (len(list(catalog.offers())), len(catalog.aliases), len(catalog.tenants)) == (100, 60, 10_000)


def test_it_is_the_same_estate_in_every_form(tmp_path: Path) -> None:
    loaded = [load_catalog(write_large_estate(tmp_path / form, form, 50)).catalog for form in FORMS]
    assert loaded[0] == loaded[1] == loaded[2]


def test_the_number_of_alert_rules_does_not_grow_with_the_estate(large: LoadedCatalog, hybrid: LoadedCatalog) -> None:
    small, rules = rules_of(hybrid), rules_of(large)
    assert [rule["alert"] for rule in rules if "alert" in rule] == [rule["alert"] for rule in small if "alert" in rule]
    assert sum(rule.get("record") == "tier:tenant:budget_usd" for rule in rules) == 10_000
