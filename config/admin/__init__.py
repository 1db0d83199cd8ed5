"""The base of every admin: ServiceAdmin, the AdminSite, its middleware and its appearance."""
