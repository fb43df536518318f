"""Every command of tiercli. To add one: its module, and one line here."""

from __future__ import annotations

from tiercli.cli.lazy_group import Command, Group, Tree

# The summary is the first paragraph of the function's docstring: a test holds the two together.
COMMANDS: Tree = {
    "catalog": Group(
        "The catalog: what your estate is. Everything else comes from it.",
        {
            "init": Command(
                "catalog:init",
                "Write a small catalog to start from, or a draft from a running Prometheus with every guess marked.",
            ),
            "validate": Command(
                "catalog:validate",
                "Check a whole catalog: its shape, every reference in it, zones, prices, budgets, and its settings of alarms.",
            ),
            "show": Command("catalog:show", "Print a catalog with its defaults filled in."),
            "schema": Command(
                "catalog:schema",
                "Print the JSON Schema of catalogs. Editors that read it complete and check as you type.",
            ),
        },
    ),
    "generate": Command(
        "generate:generate",
        "Write Prometheus rules and their unit tests, Alertmanager routing, Grafana dashboards and runbooks.",
    ),
    "diff": Command(
        "diff:diff", "Show what a deploy would change: alerts, records, panels and routes. Exit 1 if anything differs."
    ),
    "lint": Command(
        "lint:lint",
        "Check every expression, annotation, link and route, also with promtool and amtool. Exit 1 if something is wrong.",
    ),
    "dashboards": Group(
        "List the dashboards; read one on a terminal; save them in a Grafana.",
        {
            "list": Command(
                "dashboards:list_dashboards",
                "List the dashboards: name, title, uid, panels, and the variables that --var can set.",
            ),
            "show": Command(
                "dashboards:show",
                "Read a dashboard: the value of each panel now, its usual value, its alarm threshold, and what is bad.",
            ),
            "apply": Command(
                "dashboards_apply:apply",
                "Create or update the dashboards and their folder in a Grafana, over its HTTP API.",
            ),
        },
    ),
    "alarms": Group(
        "List the alarms; show a runbook.",
        {
            "list": Command(
                "alarms:list_alarms",
                "List every alarm: condition, thresholds, severity, owner, who is told, action, SLA, panel, and the drills that prove it.",
            ),
            "show": Command("alarms:show", "Print an alarm's runbook, with this catalog's thresholds and owner."),
        },
    ),
    "rules": Group(
        "Test the generated rules.",
        {
            "test": Command(
                "rules:run_tests",
                "Run every alarm's unit tests with promtool, and its routes with amtool. Exit 1 if one fails.",
            ),
        },
    ),
    "verify": Command("verify:verify", "Check of every alarm whether it could fire now."),
    "budget": Group(
        "Count the series that the catalog allows, against its budgets.\n\n`budget CATALOG` means `budget plan CATALOG`.",
        {
            "plan": Command(
                "budget:plan_command",
                "Count the series that the catalog allows, per metric, against its budgets. Exit 1 when one is exceeded.",
            ),
            "tenant-map": Command(
                "budget:write_tenant_map",
                "Write the label values of grouped tenants for gateways: by metric, the value for each tenant that loses its own name.",
            ),
        },
        default="plan",
    ),
    "audit": Group(
        "Query the gateway's audit log, and check that it has every call.",
        {
            "report": Command(
                "audit:report",
                "Query audit logs in full detail: calls, failures, tokens, cost and latency by any dimensions.",
            ),
            "check": Command(
                "audit:check",
                "Compare the audit log with the calls that Prometheus counted. Report gaps, and records that were kept for less time than the catalog requires.",
            ),
        },
    ),
    "exporter": Group(
        "Turn an audit log, or GPUs, into metrics.",
        {
            "audit": Command(
                "exporter:audit",
                "Count an audit log as the metrics of a gateway: print them, or --follow the log and serve them.",
            ),
            "gpu": Command(
                "exporter:gpu",
                "Serve metrics of this machine's NVIDIA GPUs: utilisation, memory, power, temperature, clocks, throttling, ECC and MIG.",
            ),
        },
    ),
    "sources": Group(
        "The source bindings: what each source of metrics covers.\n\n`sources` means `sources list`.",
        {
            "list": Command(
                "sources:list_sources",
                "List each source with its kind and how many of its kind's signals it provides, or who provides which signal in a catalog, and the signals that it does not get.",
            ),
            "show": Command(
                "sources:show",
                "Show each canonical signal of a source's kind: the PromQL that gives it, or why the source does not provide it.",
            ),
            "check": Command(
                "sources_check:check",
                "Hold a source's binding against what a target exposes. Exit 1 when a signal of the binding cannot be read there.",
            ),
        },
        default="list",
    ),
    "stack": Group(
        "Prometheus and Alertmanager: install them, find them, run a sandbox.",
        {
            "install": Command(
                "stack:install", "Install prometheus, promtool, alertmanager and amtool, unless they are here already."
            ),
            "status": Command(
                "stack:status", "Show which programs are found, where, and how. Exit 3 if one is missing."
            ),
            "up": Command(
                "stack:up",
                "Start the sandbox and keep it up until Ctrl-C: a real Prometheus and Alertmanager around a simulated estate.",
            ),
        },
    ),
    "drill": Group(
        "Fire drills: prove that the right alarm fires, in time, and reaches the right people.",
        {
            "list": Command(
                "drill:list_drills", "List the drills, the alarms that each proves, and how long it takes in a sandbox."
            ),
            "show": Command("drill:show_drill", "Print a drill's spec."),
            "init": Command(
                "drill:init_drills",
                "Write the drills that apply to a catalog to files, with its names in place of roles, to be edited.",
            ),
            "schema": Command("drill:schema", "Print the JSON Schema of a drill's file."),
            "run": Command(
                "drill_run:run",
                "Run drills in a sandbox: a real Prometheus and Alertmanager around a simulated estate, under load.",
            ),
            "report": Command(
                "drill_records:report", "Judge finished runs again from their timelines, and draw their reports again."
            ),
            "coverage": Command(
                "drill_records:coverage",
                "Show which alarms are proven: by unit tests, by which drills, with what last result, and in what time.",
            ),
            "compare": Command(
                "drill_records:compare",
                "Compare two records, for example two quarters: the last run of each drill on either side.",
            ),
            "bell": Command(
                "drill_bell:bell",
                "Ring the fire bell: send one test alert for each severity and owner into an environment's Alertmanager, and follow it to its receiver.",
            ),
            "worker": Command(
                "drill_worker:worker",
                "Send part of the load of a drill that runs on another machine: `tiercli drill run --await-workers N --bind HOST:PORT`.",
            ),
            "blind": Command(
                "drill_blind:blind",
                "The human drill: a fault is on and is not named. Whoever is on call has the dashboards and three minutes to say what it is and where.",
            ),
        },
    ),
    "proxy": Command(
        "proxy:proxy", "Proxy endpoints that have no gateway: count their calls, write audit records, inject faults."
    ),
}
