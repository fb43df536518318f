"""`python -m tiercli`."""

from tiercli.cli.main import run

run()
