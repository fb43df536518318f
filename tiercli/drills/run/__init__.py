"""Running drills: phases, faults, watchers, and the files that a run leaves."""
