"""A second resource, for tests/resources: what a developer writes who adds one to Tickbase."""
