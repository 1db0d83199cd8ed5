"""The admin's kit: how it looks, which middleware it needs, and that it writes through services."""
