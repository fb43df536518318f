"""Reading a board without Grafana: its JSON, its variables, what each panel shows."""
