"""What causes faults in a live environment: the fault proxy, Toxiproxy, and an operator's own commands and hooks."""
