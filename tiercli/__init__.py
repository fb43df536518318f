"""tiercli: monitoring for LLM traffic over two tiers, generated from one catalog and proven by fire drills."""

__version__ = "0.1.0"
