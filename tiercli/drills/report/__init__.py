"""What people and CI read of runs."""
