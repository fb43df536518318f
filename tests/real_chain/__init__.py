"""An estate of real programs, drilled: `make test-real-chain`."""
