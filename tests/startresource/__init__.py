"""The generator of resources: its specs, what it writes, and what it refuses."""
