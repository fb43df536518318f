"""Tenants in a file beside the catalog are tenants like those in it, and every mistake is told at its line there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.errors import InvalidInput
from tiercli.lint.catalog_checks import further_checks
from tiercli.resources import resource_folder

HYBRID = yaml.safe_load((resource_folder("catalogs") / "hybrid.yaml").read_text(encoding="utf-8"))
HEADER = "tenant,features,aliases,budget_usd_per_month,zone\n"


def load(folder: Path, rows: str, name: str = "tenants.csv", own: dict[str, Any] | None = None) -> LoadedCatalog:
    (folder / name).write_bytes(rows.encode())
    catalog = {**HYBRID, "tenants_file": name}
    catalog.pop("tenants")
    if own is not None:
        catalog["tenants"] = own
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog, sort_keys=False), encoding="utf-8")
    return load_catalog(path, further_checks())


def problems_of(folder: Path, rows: str, name: str = "tenants.csv", own: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        load(folder, rows, name, own)
    return [str(problem).replace(f"{folder}/", "") for problem in raised.value.problems]


def test_rows_of_either_kind_give_the_same_tenants_as_yaml(tmp_path: Path) -> None:
    own = {
        "acme": {"features": ["chat", "summary"], "aliases": ["chat", "summariser"], "budget_usd_per_month": 10.5, "zone": "anywhere"},
        'a "b", c': {"features": ["x"], "budget_usd_per_month": 7, "zone": "anywhere"},
    }  # fmt: skip
    rows = HEADER + 'acme,chat;summary,chat; summariser ,10.5,anywhere\n\n"a ""b"", c",x,,7,anywhere\n'
    lines = "".join(json.dumps({"tenant": name, **entry}) + "\n" for name, entry in own.items())
    (tmp_path / "yaml").mkdir()
    expected = load(tmp_path / "yaml", HEADER, own=own).catalog.tenants
    assert load(tmp_path, "\ufeff" + rows.replace("\n", "\r\n")).catalog.tenants == expected
    assert load(tmp_path, lines, "tenants.jsonl").catalog.tenants == expected


def test_tenants_of_both_places_are_put_together(tmp_path: Path) -> None:
    own = {"acme": {"features": ["chat"], "budget_usd_per_month": 1, "zone": "anywhere"}}
    loaded = load(tmp_path, HEADER + "globex,chat,,1,anywhere\n", own=own)
    assert sorted(loaded.catalog.tenants) == ["acme", "globex"]


MISTAKES = [
    pytest.param(
        "tenants.csv", HEADER + "a,x,,1,anywere\n", "tenants.csv:2:8: unknown zone 'anywere'", id="an unknown zone"
    ),
    pytest.param(
        "tenants.csv",
        HEADER + '"a, b",x,chatt,1,anywhere\n',
        "tenants.csv:2:10: unknown alias 'chatt'",
        id="an unknown alias after a quoted comma",
    ),
    pytest.param(
        "tenants.csv",
        HEADER + "a,x,,much,anywhere\n",
        "tenants.csv:2:6: tenants.a.budget_usd_per_month is 'much' (accepted: a number)",
        id="a budget that is no number",
    ),
    pytest.param(
        "tenants.csv",
        HEADER + '"a\nb",x,,1,anywhere\nc,,,1,anywhere\n',
        "tenants.csv:4",
        id="no features, below a row of two lines",
    ),
    pytest.param(
        "tenants.csv",
        HEADER + "a,x,,1,anywhere\na,x,,1,anywhere\n",
        "tenants.csv:3:1: tenant 'a' is in line 2 too",
        id="a tenant twice",
    ),
    pytest.param("tenants.csv", HEADER + "a,x,1,anywhere\n", "tenants.csv:2:1: 4 cells", id="a cell too few"),
    pytest.param("tenants.csv", HEADER + ",x,,1,anywhere\n", "tenants.csv:2:1: a row without a name", id="no name"),
    pytest.param(
        "tenants.csv",
        "tenant,featurs,budget_usd_per_month,zone\n",
        "tenants.csv:1:8: unknown column 'featurs'; did you mean 'features'?",
        id="a column of another name",
    ),
    pytest.param("tenants.csv", HEADER + 'a,"x,,1\n', "not CSV", id="a quote that does not end"),
    pytest.param("tenants.csv", "", "column 'tenant' is missing", id="an empty file"),
    pytest.param("tenants.jsonl", '{"tenant": "a",}\n', "tenants.jsonl:1:16: not JSON", id="a line that is no JSON"),
    pytest.param("tenants.jsonl", "[]\n", "tenants.jsonl:1:1: JSON that is no object", id="a line that is a list"),
    pytest.param(
        "tenants.jsonl",
        '\n{"tenant": "a", "features": ["x"], "budget_usd_per_month": 1, "zone": "anywhere", "plan": 1}\n',
        "tenants.jsonl:2:91: unknown key 'plan'",
        id="a key that no tenant has",
    ),
    pytest.param(
        "tenants.jsonl",
        '{"tenant": "a", "features": "x", "budget_usd_per_month": 1, "zone": "anywhere"}\n',
        "tenants.jsonl:1:29: tenants.a.features is 'x' (accepted: a list)",
        id="text for a list",
    ),
    pytest.param("tenants.txt", "", "a name that ends in .csv, .jsonl or .ndjson", id="a file of another kind"),
]


@pytest.mark.parametrize(("name", "rows", "said"), MISTAKES)
def test_a_mistake_is_told_at_its_place_in_the_file(tmp_path: Path, name: str, rows: str, said: str) -> None:
    found = problems_of(tmp_path, rows, name)
    assert any(said in problem for problem in found), found


def test_all_mistakes_are_told_at_once_with_those_of_the_catalog(tmp_path: Path) -> None:
    own = {"acme": {"features": ["chat"], "budget_usd_per_month": -1, "zone": "anywhere"}}
    found = problems_of(tmp_path, HEADER + "a,x,,many,anywhere\nb,x,,1,nowhere\nacme,x,,1,anywhere\n", own=own)
    assert len(found) == 4
    assert any("tenants.csv:3:8: unknown zone 'nowhere'" in problem for problem in found)
    assert any("tenant 'acme' is in tenants.csv too, line 4" in problem for problem in found)


def test_a_file_that_is_not_there_is_told_where_the_catalog_names_it(tmp_path: Path) -> None:
    catalog = {**HYBRID, "tenants_file": "nobody.csv"}
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog, sort_keys=False), encoding="utf-8")
    with pytest.raises(InvalidInput) as raised:
        load_catalog(path)
    first = raised.value.problems[0]
    assert first.location.file == str(path)
    assert first.location.line > 1
    assert "nobody.csv: no such file or directory" in first.found
