"""Objects for Prometheus Operator, and ConfigMaps for the Grafana sidecar.

PrometheusRule is monitoring.coreos.com/v1; AlertmanagerConfig is v1alpha1, which the operator serves without a conversion
webhook. The operator adds a matcher of the object's namespace to every route and inhibition of an AlertmanagerConfig, unless
told otherwise: so the alerts carry that label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from tiercli.conventions import NAMESPACE_LABEL
from tiercli.output.tree import ALERTMANAGER_FILE, RULES_PATH, to_yaml
from tiercli.output.wrappers.alertmanager_config import build_alertmanager_config
from tiercli.output.wrappers.interface import Tree, Wrap, WrapOptions
from tiercli.output.wrappers.objects import (
    MOST_BYTES,
    Object,
    build_object,
    object_name,
    size_of,
    split_groups,
    too_large,
)

FOLDER = "kubernetes"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOARDS = "grafana/dashboards/"
# What the sidecar of Grafana's Helm chart looks for.
SIDECAR_LABEL, SIDECAR_FOLDER = "grafana_dashboard", "grafana_folder"


def _render(tree: Tree, options: WrapOptions) -> dict[str, str]:
    wrapped = {f"{FOLDER}/{path}": to_yaml(content) for path, content in _objects(tree, options)}
    return dict(sorted(wrapped.items()))


def _objects(tree: Tree, options: WrapOptions) -> Iterator[tuple[str, Object]]:
    groups = yaml.load(tree[RULES_PATH], _LOADER)["groups"]  # noqa: S506 - a safe one
    for number, part in enumerate(split_groups([_in_namespace(group, options.namespace) for group in groups]), 1):
        name = object_name(options, "rules", str(number))
        yield (
            f"prometheusrule-{number}.yaml",
            build_object(options, "monitoring.coreos.com/v1", "PrometheusRule", name, {"spec": {"groups": part}}),
        )
    config = yaml.load(tree[ALERTMANAGER_FILE], _LOADER)  # noqa: S506 - a safe one
    yield "alertmanagerconfig.yaml", build_alertmanager_config(config, options)
    for path, text in tree.items():
        if path.startswith(_BOARDS):
            board = PurePosixPath(path).stem
            yield f"dashboard-{board}.yaml", _config_map(board, text, options)


def _in_namespace(group: Mapping[str, Any], namespace: str) -> Object:
    """A group whose alerts say which namespace they belong to."""
    rules = [
        {**rule, "labels": {**rule.get("labels", {}), NAMESPACE_LABEL: namespace}} if "alert" in rule else rule
        for rule in group["rules"]
    ]
    return {**group, "rules": rules}


def _config_map(board: str, text: str, options: WrapOptions) -> Object:
    content = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    made = build_object(
        options,
        "v1",
        "ConfigMap",
        object_name(options, "dashboard", board),
        {"data": {f"{object_name(options, board)}.json": content}},
        labels={SIDECAR_LABEL: "1"},
        annotations={SIDECAR_FOLDER: options.folder},
    )
    if size_of(made) > MOST_BYTES:
        raise too_large(f"dashboard {board}", size_of(made))
    return made


def _rules(tree: Tree) -> str | None:
    objects = [
        yaml.load(text, _LOADER)  # noqa: S506 - a safe one
        for path, text in sorted(tree.items(), key=lambda item: (len(item[0]), item[0]))
        if path.startswith(f"{FOLDER}/prometheusrule-")
    ]
    groups = [group for one in objects for group in one["spec"]["groups"]]
    return to_yaml({"groups": groups}) if groups else None


WRAP = Wrap(FOLDER, "PrometheusRule, AlertmanagerConfig, ConfigMaps with the Grafana sidecar's label", _render, _rules)
