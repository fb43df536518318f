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
                "Write a small catalog to begin with, or a draft from a running Prometheus with every guess marked.",
            ),
            "validate": Command(
                "catalog:validate",
                "Check a catalog whole: its shape, every reference in it, zones, prices, budgets, and what it says of alarms.",
            ),
            "show": Command("catalog:show", "Show what a catalog says, defaults filled in."),
            "schema": Command(
                "catalog:schema",
                "Print the JSON Schema of catalogs: completion and checks as you type, in any editor that reads one.",
            ),
        },
    ),
    "generate": Command(
        "generate:generate",
        "Write Prometheus rules and their unit tests, Alertmanager routing, Grafana dashboards and runbooks.",
    ),
    "diff": Command(
        "diff:diff",
        "Say what would change where it is deployed: alerts, records, panels, routes. Exit 1 when anything differs.",
    ),
    "lint": Command(
        "lint:lint",
        "Check every expression, annotation, link and route; promtool and amtool too. Exit 1 when something is wrong.",
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
                "Read a dashboard: what each panel says now, what is usual, where its alarm is, what is bad.",
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
                "List every alarm: its condition, thresholds, severity, owner, action, SLA, panel and the drills that prove it.",
            ),
            "show": Command("alarms:show", "Print an alarm's runbook, with this catalog's thresholds and owner."),
        },
    ),
    "rules": Group(
        "Test the generated rules.",
        {
            "test": Command(
                "rules:run_tests",
                "Run every alarm's unit tests with promtool, and its routes with amtool. Exit 1 when one fails.",
            ),
        },
    ),
    "verify": Command(
        "verify:verify",
        "Say of every alarm whether it could fire now: its inputs have data, its rule is loaded as generated, samples are kept long enough, an Alertmanager is connected. Exit 1 when one is blind, 3 when Prometheus cannot be asked.",
    ),
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
                "Ask audit logs at full detail: calls, failures, tokens, cost and latency by any dimensions.",
            ),
            "check": Command(
                "audit:check",
                "Compare the audit log with the calls that Prometheus counted, name gaps, and hold its oldest record against the retention that the catalog demands. Exit 1 where records are missing or were not kept, 3 when Prometheus cannot be asked.",
            ),
        },
    ),
    "exporter": Group(
        "Turn an audit log, or GPUs, into metrics.",
        {
            "audit": Command(
                "exporter:audit",
                "Count an audit log into the metrics of a gateway: print them, or --follow the log and serve them.",
            ),
            "gpu": Command(
                "exporter:gpu",
                "Serve what NVIDIA's driver knows of the GPUs here: busy, memory, power, temperature, clocks, throttling, ECC, MIG.",
            ),
        },
    ),
    "sources": Group(
        "The source bindings: what each source of metrics covers.\n\n`sources` means `sources list`.",
        {
            "list": Command(
                "sources:list_sources",
                "List each source with its kind and how many of its kind's signals it covers, or what a catalog is left without.",
            ),
            "show": Command(
                "sources:show",
                "Show each canonical signal of a source's kind: the PromQL that yields it, or why it is not there.",
            ),
        },
        default="list",
    ),
    "stack": Group(
        "Prometheus and Alertmanager: install them, find them, run a sandbox.",
        {
            "install": Command(
                "stack:install", "Get prometheus, promtool, alertmanager and amtool, unless they are here already."
            ),
            "status": Command(
                "stack:status", "Say which programs are found, where, and by which way. Exit 3 when one is missing."
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
                "drill:list_drills", "List the drills, what each is proof for, and how long it takes in a sandbox."
            ),
            "show": Command("drill:show_drill", "Print a drill's spec."),
            "run": Command(
                "drill_run:run",
                "Run drills in a sandbox: a real Prometheus and Alertmanager around a simulated estate, under load.",
            ),
            "report": Command(
                "drill_records:report",
                "Judge finished runs again from their timelines, and draw their reports again. Of several, those that cannot be read are named when the others are done: exit 2.",
            ),
            "coverage": Command(
                "drill_records:coverage",
                "Show which alarms are proven: by unit tests, by which drills, what came of those last, and how long they took.",
            ),
            "compare": Command(
                "drill_records:compare",
                "Compare two records, quarter against quarter: of each drill the last run on either side. Exit 1 where an alarm that was proven is not any more. Times to detect are estate time.",
            ),
            "bell": Command(
                "drill_bell:bell",
                "Ring the fire bell: send one alert marked as a test for each severity and owner into the environment's Alertmanager, follow it to its receiver, end it, and see that nothing of it is left. No traffic is touched.",
            ),
            "worker": Command(
                "drill_worker:worker",
                "Do a part of the load of a drill that runs on another machine: `tiercli drill run --await-workers N --bind HOST:PORT`.",
            ),
            "blind": Command(
                "drill_blind:blind",
                "The human drill: a fault is on and not named; whoever is on call has the dashboards and three minutes to say what it is, and where. Then the truth.",
            ),
        },
    ),
    "proxy": Command(
        "proxy:proxy",
        "Stand before endpoints that have no gateway: count their calls, write audit records, inject faults.",
    ),
}
