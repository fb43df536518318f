"""The programs of a sandbox that are not simulated: found, installed, run."""
