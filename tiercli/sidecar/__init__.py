"""A process that outlives a drill by as long as it takes to undo the drill's faults. Standard library only."""
