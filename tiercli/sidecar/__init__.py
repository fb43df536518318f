"""Processes that outlive a drill by as long as it takes to end its processes (supervisor) and undo its faults (undoer)."""
