"""The load of a drill: planned, priced, sent by Locust."""
