"""The simulated providers and local servers."""
