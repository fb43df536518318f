"""The human drill: a fault is chosen and not named, and somebody names it from the dashboards alone."""
