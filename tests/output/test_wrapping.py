"""The forms that the generated tree can take: valid by the schemas of those who read them, and the same in all of them."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import ROOT, Tool
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.cli.main import app
from tiercli.dashboards.build.provisioning import folder_title
from tiercli.errors import InvalidInput
from tiercli.output.tree import ALERTMANAGER_FILE, RULES_PATH, render_tree
from tiercli.output.wrappers import WrapOptions
from tiercli.output.wrappers.objects import MOST_BYTES, size_of, split_groups
from tiercli.output.wrapping import unwrapped, wrap_tree
from tiercli.rules.deployment import Deployment

SCHEMAS = Path(__file__).parent / "schemas"
NAMES = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
NAMESPACE = "llm"


def options_for(loaded: LoadedCatalog, **more: Any) -> WrapOptions:
    catalog = loaded.catalog
    return WrapOptions(catalog.estate, catalog.env, folder_title(catalog), namespace=NAMESPACE, **more)


_PLAIN: dict[int, tuple[LoadedCatalog, dict[str, str]]] = {}  # by the identity of a catalog, which is kept with it


def plain_of(loaded: LoadedCatalog) -> dict[str, str]:
    if id(loaded) not in _PLAIN:
        _PLAIN[id(loaded)] = loaded, render_tree(loaded, Deployment.production(loaded.catalog))
    return dict(_PLAIN[id(loaded)][1])


def wrapped(loaded: LoadedCatalog, *wraps: str, **more: Any) -> dict[str, str]:
    return wrap_tree(plain_of(loaded), wraps, options_for(loaded, **more))


def objects_of(tree: dict[str, str]) -> list[dict[str, Any]]:
    return [yaml.safe_load(text) for path, text in sorted(tree.items()) if path.endswith(".yaml")]


def validate(content: dict[str, Any]) -> None:
    """As the API server would, which also refuses fields that it does not know."""
    assert NAMES.fullmatch(content["metadata"]["name"]), content["metadata"]["name"]
    assert size_of(content) <= MOST_BYTES + 1000
    if content["kind"] == "ConfigMap":
        assert set(content) == {"apiVersion", "kind", "metadata", "data"}
        assert all(isinstance(value, str) for value in content["data"].values())
        return
    schema = json.loads((SCHEMAS / f"{content['kind'].lower()}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)


@pytest.fixture(scope="module", params=["hybrid", "minimal", "litellm-vllm"])
def loaded(request: pytest.FixtureRequest) -> LoadedCatalog:
    return load_catalog(ROOT / "catalogs" / f"{request.param}.yaml")


@pytest.mark.parametrize("wrap", ["kubernetes", "grafana-operator"])
def test_every_object_is_valid_by_its_schema(loaded: LoadedCatalog, wrap: str) -> None:
    objects = objects_of(wrapped(loaded, wrap, labels={"release": "prometheus"}))
    assert objects
    for one in objects:
        validate(one)
        assert one["metadata"]["namespace"] == NAMESPACE
        assert one["metadata"]["labels"]["release"] == "prometheus"
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)


def test_the_schemas_refuse_what_the_api_server_would(loaded: LoadedCatalog) -> None:
    objects = {one["kind"]: one for one in objects_of(wrapped(loaded, "kubernetes", "grafana-operator"))}
    broken = copy.deepcopy(objects)
    broken["PrometheusRule"]["spec"]["groups"][0]["rules"][0]["for_"] = "1m"
    broken["AlertmanagerConfig"]["spec"]["route"]["group_by"] = ["alertname"]
    broken["GrafanaDashboard"]["spec"]["jsn"] = "{}"
    for kind in ("PrometheusRule", "AlertmanagerConfig", "GrafanaDashboard"):
        with pytest.raises(jsonschema.ValidationError):
            validate(broken[kind])


def test_rules_come_back_as_they_were_but_for_the_namespace_of_alerts(
    loaded: LoadedCatalog, promtool: Tool, tmp_path: Path
) -> None:
    plain = yaml.safe_load(plain_of(loaded)[RULES_PATH])
    for wrap in ("kubernetes", "mimir"):
        text = unwrapped(wrapped(loaded, wrap))[RULES_PATH]
        (tmp_path / "rules.yml").write_text(text)
        code, said = promtool("check", "rules", tmp_path / "rules.yml")
        assert code == 0, said
        back = yaml.safe_load(text)
        for group in back["groups"]:
            for rule in group["rules"]:
                if "alert" in rule and wrap == "kubernetes":
                    assert rule["labels"].pop("namespace") == NAMESPACE
        assert back == plain


def test_a_mimir_namespace_has_its_name_and_its_groups_and_nothing_else(loaded: LoadedCatalog) -> None:
    (content,) = objects_of(wrapped(loaded, "mimir"))
    assert list(content) == ["namespace", "groups"]
    assert NAMES.fullmatch(content["namespace"])


def test_dashboards_are_the_same_in_every_form(loaded: LoadedCatalog) -> None:
    plain = {
        json.loads(text)["uid"]: json.loads(text)
        for path, text in plain_of(loaded).items()
        if "/dashboards/" in path and path.endswith(".json")
    }
    maps = [one for one in objects_of(wrapped(loaded, "kubernetes")) if one["kind"] == "ConfigMap"]
    assert {board["uid"]: board for one in maps for board in map(json.loads, one["data"].values())} == plain
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in maps} == {"1"}
    files = [name for one in maps for name in one["data"]]
    assert len(set(files)) == len(files)  # the sidecar puts all of them into one folder
    boards = objects_of(wrapped(loaded, "grafana-operator"))
    assert {json.loads(one["spec"]["json"])["uid"]: json.loads(one["spec"]["json"]) for one in boards} == plain
    assert {one["spec"]["folder"] for one in boards} == {folder_title(loaded.catalog)}


def as_the_operator_makes_it(content: dict[str, Any], namespace: str | None) -> dict[str, Any]:
    """An Alertmanager configuration of an AlertmanagerConfig: under its default strategy the operator adds a matcher of the
    namespace to the top route and to both sides of every inhibition; with None it adds nothing."""
    spec = content["spec"]
    added = [f'namespace="{namespace}"'] if namespace else []

    def matchers(found: list[dict[str, str]]) -> list[str]:
        return [f'{one["name"]}{one["matchType"]}"{one["value"]}"' for one in found]

    def route(found: dict[str, Any]) -> dict[str, Any]:
        return {
            **({"receiver": found["receiver"]} if "receiver" in found else {}),
            "matchers": matchers(found.get("matchers", [])),
            "routes": [route(one) for one in found.get("routes", [])],
        }

    top = route(spec["route"])
    top["matchers"] += added
    return {
        "route": {"receiver": "null", "routes": [{**top, "continue": True}]},
        "receivers": [{"name": "null"}, *({"name": one["name"]} for one in spec["receivers"])],
        "inhibit_rules": [
            {
                "source_matchers": [*matchers(one["sourceMatch"]), *added],
                "target_matchers": [*matchers(one["targetMatch"]), *added],
                "equal": one["equal"],
            }
            for one in spec["inhibitRules"]
        ],
    }


def receivers_of(amtool: Tool, config: Path, labels: dict[str, str]) -> str:
    code, said = amtool("config", "routes", "test", f"--config.file={config}", *(f"{k}={v}" for k, v in labels.items()))
    assert code == 0, said
    return "\n".join(line for line in said.splitlines() if line and not line.startswith("Warning"))


@pytest.mark.parametrize("strategy", ["OnNamespace", "None"])
def test_alerts_reach_in_kubernetes_whom_they_reach_elsewhere(
    loaded: LoadedCatalog, amtool: Tool, tmp_path: Path, strategy: str
) -> None:
    plain, tree = plain_of(loaded), wrapped(loaded, "kubernetes")
    objects = objects_of(tree)
    (config,) = [one for one in objects if one["kind"] == "AlertmanagerConfig"]
    made = as_the_operator_makes_it(config, NAMESPACE if strategy == "OnNamespace" else None)
    (tmp_path / "made.yml").write_text(yaml.safe_dump(made))
    (tmp_path / "plain.yml").write_text(plain[ALERTMANAGER_FILE])
    code, said = amtool("check-config", tmp_path / "made.yml")
    assert code == 0, said
    alerts = [
        {"alertname": rule["alert"], **rule["labels"]}
        for one in objects
        if one["kind"] == "PrometheusRule"
        for group in one["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert len(alerts) > 5
    for labels in alerts:
        there = {key: value for key, value in labels.items() if "{{" not in value}
        assert receivers_of(amtool, tmp_path / "made.yml", there) == receivers_of(amtool, tmp_path / "plain.yml", there)
    # Without the label, under the default strategy, nobody would be told: this is what it is for.
    lost = {key: value for key, value in alerts[0].items() if key != "namespace" and "{{" not in value}
    told = receivers_of(amtool, tmp_path / "made.yml", lost)
    assert (told == "null") is (strategy == "OnNamespace")
    # Another team's alerts of the namespace are not ours to route.
    assert (
        receivers_of(amtool, tmp_path / "made.yml", {"alertname": "Theirs", "severity": "page", "namespace": NAMESPACE})
        == "null"
    )


def test_no_receiver_holds_a_secret_and_files_become_keys(hybrid: LoadedCatalog) -> None:
    tree = wrapped(hybrid, "kubernetes", secret="ours")
    (config,) = [one for one in objects_of(tree) if one["kind"] == "AlertmanagerConfig"]
    text = json.dumps(config)
    assert "/etc/alertmanager" not in text
    references = re.findall(r'\{"name": "ours", "key": "(\w+)"\}', text)
    assert set(references) == {"slack", "pagerduty", "heartbeat"}
    assert "--from-file=slack=/etc/alertmanager/secrets/slack" in tree["kubernetes/README.md"]


# Every kind of receiver under the names of the operator, and the keys of the Secret that they read.
OPERATORS = {
    "email": ("emailConfigs", {"authPassword": "mail"}),
    "opsgenie": ("opsgenieConfigs", {"apiKey": "ops"}),
    "msteams": ("msteamsv2Configs", {"webhookURL": "teams"}),
    "telegram": ("telegramConfigs", {"botToken": "bot"}),
}


def test_every_kind_of_receiver_is_valid_in_kubernetes(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    mail = {
        "to": "a@b.c",
        "from": "d@b.c",
        "smarthost": "mail:25",
        "auth_username": "u",
        "auth_password_file": "/s/mail",
    }

    def change(data: dict[str, Any]) -> None:
        data["receivers"] |= {
            "email": {"email": mail},
            "opsgenie": {"opsgenie": {"api_key_file": "/s/ops", "priority": "P2", "api_url": "https://h/"}},
            "msteams": {"msteams": {"webhook_url_file": "/s/teams"}},
            "telegram": {"telegram": {"bot_token_file": "/s/bot", "chat_id": -5}},
        }

    tree = wrapped(changed_hybrid(change), "kubernetes", secret="ours")
    (config,) = [one for one in objects_of(tree) if one["kind"] == "AlertmanagerConfig"]
    validate(config)
    built = {one["name"]: one for one in config["spec"]["receivers"]}
    for name, (key, secrets) in OPERATORS.items():
        [settings] = built[name][key]
        assert settings["sendResolved"] is True
        for field, file in secrets.items():
            assert settings[field] == {"name": "ours", "key": file}
            assert f"--from-file={file}=/s/{file}" in tree["kubernetes/README.md"]
    assert built["email"]["emailConfigs"][0]["headers"][0]["key"] == "Subject"
    assert built["telegram"]["telegramConfigs"][0]["chatID"] == -5


def test_a_raw_receiver_is_refused_by_kubernetes_and_by_no_other_form(tmp_path: Path) -> None:
    data = yaml.safe_load(Path(HYBRID).read_text())
    data["receivers"]["rota"] = {"raw": {"webhook_configs": [{"url": "http://h/"}]}}
    catalog, out = tmp_path / "c.yaml", tmp_path / "out"
    catalog.write_text(yaml.safe_dump(data))
    done = run("generate", str(catalog), "--out", str(out), "--wrap", "plain", "--wrap", "kubernetes")
    assert isinstance(done.exception, InvalidInput)
    lines = catalog.read_text().splitlines()
    [problem] = done.exception.problems
    assert "raw:" in lines[problem.location.line - 1]
    assert problem.found == "receiver 'rota' has `raw`, which --wrap kubernetes cannot take over"
    assert not out.exists()
    others = ["--wrap", "plain", "--wrap", "mimir", "--wrap", "grafana-operator"]
    assert run("generate", str(catalog), "--out", str(out), *others).exit_code == 0


def test_two_files_of_one_name_become_two_keys(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    def change(data: dict[str, Any]) -> None:
        data["receivers"]["content-ai-channel"]["slack"]["api_url_file"] = "/etc/other/slack"

    (config,) = [
        one for one in objects_of(wrapped(changed_hybrid(change), "kubernetes")) if one["kind"] == "AlertmanagerConfig"
    ]
    keys = {
        one["name"]: one["slackConfigs"][0]["apiURL"]["key"]
        for one in config["spec"]["receivers"]
        if "slackConfigs" in one
    }
    assert keys == {"content-ai-channel": "slack", "platform-channel": "secrets-slack"}


def group(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "interval": "15s", "rules": rules}


def test_rules_of_ten_thousand_tenants_fit_into_objects_that_kubectl_can_apply() -> None:
    constants = [
        {
            "record": "tier:tenant:budget_usd",
            "expr": "vector(5)",
            "labels": {"tenant": f"tenant-{number:05}", "zone": "z"},
        }
        for number in range(10_000)
    ]
    reads = [{"record": "x", "expr": "sum(tier:tenant:budget_usd)"}]
    parts = list(split_groups([group("meta", [*constants, *reads]), group("spend", reads)]))
    assert len(parts) > 3
    assert all(size_of({"groups": part}) <= MOST_BYTES + 100 for part in parts)
    groups = [one for part in parts for one in part]
    names = [one["name"] for one in groups]
    assert len(set(names)) == len(names)
    assert [rule for one in groups if one["name"].startswith("meta") for rule in one["rules"]] == [*constants, *reads]
    assert {one["interval"] for one in groups} == {"15s"}


def test_a_group_that_cannot_be_split_is_an_error_with_its_name_and_size() -> None:
    long = [{"record": f"r{number}", "expr": f"sum(r{number - 1}) + {'0 + ' * 100}1"} for number in range(2000)]
    with pytest.raises(InvalidInput) as raised:
        list(split_groups([group("chain", long)]))
    assert "rule group chain takes" in raised.value.problems[0].found


def test_a_dashboard_that_is_too_large_is_packed_or_an_error_that_names_it(hybrid: LoadedCatalog) -> None:
    tree = plain_of(hybrid)
    path = "grafana/dashboards/home.json"
    tree[path] = json.dumps({**json.loads(tree[path]), "description": "wide " * 100_000})
    packed = objects_of(wrap_tree(tree, ["grafana-operator"], options_for(hybrid)))
    (home,) = [one for one in packed if "gzipJson" in one["spec"]]
    validate(home)
    assert json.loads(gzip.decompress(base64.b64decode(home["spec"]["gzipJson"]))) == json.loads(tree[path])
    with pytest.raises(InvalidInput, match="too large") as raised:
        wrap_tree(tree, ["kubernetes"], options_for(hybrid))
    assert "dashboard home takes" in raised.value.problems[0].found


HYBRID = str(ROOT / "catalogs" / "hybrid.yaml")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_the_command_writes_the_forms_that_are_named_and_no_others(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert run("generate", HYBRID, "--out", out, "--wrap", "kubernetes", "--wrap", "mimir").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["kubernetes", "manifest.json", "mimir"]
    again = run("generate", HYBRID, "--out", out, "--wrap", "kubernetes", "--wrap", "mimir", "--check")
    assert again.exit_code == 0
    compared = run("diff", HYBRID, "--against", out)
    assert compared.exit_code == 0, compared.output
    # Another form takes the place of the first; what was written for that is gone.
    assert run("generate", HYBRID, "--out", out).exit_code == 0
    assert not (tmp_path / "out" / "kubernetes").exists()


def test_what_a_deploy_changes_is_seen_in_a_wrapped_folder_too(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("generate", HYBRID, "--out", str(out), "--wrap", "kubernetes").exit_code == 0
    rules = out / "kubernetes" / "prometheusrule-1.yaml"
    rules.write_text(rules.read_text().replace("keep_firing_for: 7m", "keep_firing_for: 8m"))
    compared = run("diff", HYBRID, "--against", str(out))
    assert "alert ProviderDown: keep_firing_for from 480 s to 420 s" in compared.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--wrap", "helm"], "unknown form 'helm'"),
        (["--wrap", "kubernetes", "--namespace", "No Such"], "'No Such' is not a namespace"),
        (["--wrap", "kubernetes", "--label", "release"], "'release' is not a label"),
        (["--wrap", "kubernetes", "--label", "a b=c"], "'a b=c' is not a label"),
        (["--wrap", "kubernetes", "--secret", "Ours!"], "'Ours!' is not a name of a Secret"),
        (["--namespace", "llm"], "has no effect on plain files"),
    ],
)
def test_options_that_do_not_fit_are_told_before_anything_is_written(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = run("generate", HYBRID, "--out", str(tmp_path / "out"), *arguments)
    assert isinstance(done.exception, InvalidInput)
    assert said in done.exception.problems[0].found
    assert done.exception.problems[0].accepted
    assert not (tmp_path / "out").exists()


def test_hostile_names_come_back_from_every_form_as_they_are(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    name = "q\"uo'te \\back\\n {{ $1 }} ${x} [[y]] } # ☃: - |"

    def change(data: dict[str, Any]) -> None:
        data["tenants"][name] = data["tenants"].pop("globex-media")
        data["aliases"][name] = data["aliases"].pop("chat")
        data["tenants"]["acme-corp"]["aliases"] = [name, "summariser"]

    loaded = changed_hybrid(change)
    for one in objects_of(wrapped(loaded, "kubernetes", "grafana-operator")):
        validate(one)
    plain = yaml.safe_load(plain_of(loaded)[RULES_PATH])
    records = [rule for part in plain["groups"] for rule in part["rules"] if "record" in rule]
    assert any(rule.get("labels", {}).get("tenant") == name for rule in records)
    for wrap in ("kubernetes", "mimir"):
        back = yaml.safe_load(unwrapped(wrapped(loaded, wrap))[RULES_PATH])
        assert [rule for part in back["groups"] for rule in part["rules"] if "record" in rule] == records
