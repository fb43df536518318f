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
        "tenants.csv:3:1: tenant 'a' is also in line 2",
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
    pytest.param(
        "tenants.csv",
        HEADER + 'b,x,,1,anywhere\na,"x,,1\n\n\n',
        "tenants.csv:3:1: a quote without an end, in the row that begins here",
        id="a quote that does not end",
    ),
    pytest.param("tenants.csv", HEADER + 'a,"x"y,,1\n', "tenants.csv:2:1: not CSV", id="text after a quoted cell"),
    pytest.param(
        "tenants.csv",
        HEADER + f"a,{'x' * 200_000},,1,anywhere\n",
        "tenants.csv:2:1: a cell that is too long",
        id="a cell without end",
    ),
    pytest.param("tenants.csv", "", "tenants.csv:1:1: column 'tenant' is missing", id="an empty file"),
    pytest.param(
        "tenants.csv",
        HEADER + "a,x,,1e999,anywhere\n",
        "tenants.csv:2:6: tenants.a.budget_usd_per_month is '1e999'",
        id="a budget without end",
    ),
    pytest.param(
        "tenants.csv",
        HEADER + "a\x85b,x,,1,anywhere\nb,x,,1,nowhere\n",
        "tenants.csv:3:8: unknown zone 'nowhere'",
        id="a row below one with a character that some take for a line end",
    ),
    pytest.param("tenants.jsonl", "[" * 200_000, "tenants.jsonl:1:1: JSON nested more than 40", id="endless nesting"),
    pytest.param(
        "tenants.jsonl",
        f'{{"tenant": "a", "features": {"[" * 500}{"]" * 500}}}\n',
        "tenants.jsonl:1:1: JSON nested more than 40",
        id="deep nesting that ends",
    ),
    pytest.param(
        "tenants.jsonl",
        '{"tenant": "a", "budget_usd_per_month": 1, "budget_usd_per_month": 2}\n',
        "tenants.jsonl:1:1: key 'budget_usd_per_month' is repeated",
        id="a key twice",
    ),
    pytest.param(
        "tenants.jsonl",
        '{"tenant": "\\ud800", "zone": "anywhere"}\n',
        "tenants.jsonl:1:1: half a surrogate pair",
        id="half a character",
    ),
    pytest.param(
        "tenants.jsonl",
        '{"tenant": "a", "budget_usd_per_month": NaN}\n',
        "tenants.jsonl:1:1: NaN, which is not a number",
        id="not a number",
    ),
    pytest.param(
        "tenants.jsonl",
        f'{{"tenant": "a", "features": ["x"], "budget_usd_per_month": {"9" * 5000}, "zone": "anywhere"}}\n',
        "tenants.jsonl:1:60: tenants.a.budget_usd_per_month is '999",
        id="a number of five thousand digits",
    ),
    pytest.param(
        "tenants.jsonl",
        '{"tenant": "a", "features": ["x\u2028y"], "budget_usd_per_month": 1, "zone": "anywhere"}\n',
        "tenants.a.features[0]: a name cannot hold",
        id="a line separator inside a text",
    ),
    pytest.param("tenants.jsonl", '{"tenant": "a",}\n', "tenants.jsonl:1:16: not JSON", id="a line that is no JSON"),
    pytest.param("tenants.jsonl", "[]\n", "tenants.jsonl:1:1: JSON, but not an object", id="a line that is a list"),
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
    pytest.param("tenants.txt", "", "a file of another kind (accepted: a CSV or JSON", id="a file of another kind"),
]


@pytest.mark.parametrize(("name", "rows", "message"), MISTAKES)
def test_a_mistake_is_told_at_its_place_in_the_file(tmp_path: Path, name: str, rows: str, message: str) -> None:
    found = problems_of(tmp_path, rows, name)
    assert any(message in problem for problem in found), found


def test_all_mistakes_are_told_at_once_with_those_of_the_catalog(tmp_path: Path) -> None:
    own = {"acme": {"features": ["chat"], "budget_usd_per_month": -1, "zone": "anywhere"}}
    found = problems_of(tmp_path, HEADER + "a,x,,many,anywhere\nb,x,,1,nowhere\nacme,x,,1,anywhere\n", own=own)
    assert len(found) == 4
    assert any("tenants.csv:3:8: unknown zone 'nowhere'" in problem for problem in found)
    assert any("tenant 'acme' is also in tenants.csv, line 4" in problem for problem in found)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("tenants.csv", "tenant;features\na;x\n", "tenants.csv:1:1: unknown column"),
        ("tenants.csv", HEADER + "a,x,1\n", "tenants.csv:2:1: 3 cells"),
        ("tenants.jsonl", "no JSON\n", "tenants.jsonl:1:1: not JSON"),
        ("tenants.xlsx", "", "catalog.yaml:"),
    ],
)
def test_where_no_tenant_can_be_read_nothing_is_said_of_tenants_but_why(
    tmp_path: Path, name: str, rows: str, message: str
) -> None:
    found = problems_of(tmp_path, rows, name)
    assert message in found[0]
    assert not any("tenants is" in problem or "unknown tenant" in problem for problem in found), found


def test_a_file_without_a_row_is_told_where_the_catalog_names_it(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, HEADER)
    place, _, message = problem.partition(": ")
    line, column = place.split(":")[1:]
    text = (tmp_path / "catalog.yaml").read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert text[int(column) - 1 :] == "tenants.csv"
    assert message == "tenants is an empty mapping (accepted: at least 1)"


def test_lines_before_the_header_and_a_name_in_capitals_do_no_harm(tmp_path: Path) -> None:
    assert list(load(tmp_path, "\n\n" + HEADER + "a,x,,1,anywhere\n", "TENANTS.CSV").catalog.tenants) == ["a"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "rows.csv").write_text(HEADER + "a,x,,1,anywhere\n", encoding="utf-8")
    (tmp_path / "tenants.csv").symlink_to(tmp_path / "elsewhere" / "rows.csv")
    path = tmp_path / "catalog.yaml"
    content = {key: value for key, value in HYBRID.items() if key != "tenants"} | {"tenants_file": "tenants.csv"}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert list(load_catalog(path).catalog.tenants) == ["a"]


@pytest.mark.parametrize("make", ["folder", "latin-1"])
def test_a_file_that_cannot_be_read_is_told_with_what_else_is_wrong(tmp_path: Path, make: str) -> None:
    if make == "folder":
        (tmp_path / "tenants.csv").mkdir()
    else:
        (tmp_path / "tenants.csv").write_bytes((HEADER + "b,x,,1,anywhere\nJosé,x,,1,anywhere\n").encode("latin-1"))
    content = {key: value for key, value in HYBRID.items() if key != "tenants"}
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump({**content, "tenants_file": "tenants.csv", "time_zone": "Mars"}), encoding="utf-8")
    with pytest.raises(InvalidInput) as raised:
        load_catalog(path)
    found = [str(problem).replace(f"{tmp_path}/", "") for problem in raised.value.problems]
    assert any("unknown time zone 'Mars'" in problem for problem in found)
    expected = "tenants.csv: is a directory" if make == "folder" else "tenants.csv:3:4: byte 0xe9 is not UTF-8"
    assert any(expected in problem for problem in found), found


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
