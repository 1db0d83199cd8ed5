"""Comments: a resource."""
