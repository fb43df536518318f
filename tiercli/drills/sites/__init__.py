"""Where a drill runs: a sandbox, or a live environment."""
