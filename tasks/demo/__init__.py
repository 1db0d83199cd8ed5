"""Demo tasks: their texts, and their storage in bulk."""
