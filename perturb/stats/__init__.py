"""Statistics of arrays: intervals, tests, power. Nothing here knows about pictures or models."""
