"""Rate limits: throttles, leases of permits, and the shared counters."""
