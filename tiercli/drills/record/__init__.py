"""What a run saw and concluded, and the folder that keeps it."""
