"""Projects: the lists in which people keep their tasks."""
