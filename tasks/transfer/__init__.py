"""Import and export: what other programs have written becomes projects and tasks, and the other way round."""
