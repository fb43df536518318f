"""The verdict: pure functions of what a drill asks for and of what was seen."""
