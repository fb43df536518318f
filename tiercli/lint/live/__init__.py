"""A running Prometheus compared with the generated rules: what data it has, and which alarms cannot see."""
