"""What can go wrong, and what brings it about: the kinds of faults, the fault proxy, an environment's own means."""
