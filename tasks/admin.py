"""The staff's view on tasks."""
