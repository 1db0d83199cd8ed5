"""Recurrence, pure: a rule and a due in, the next dues out. Services call `series` and `words`."""
