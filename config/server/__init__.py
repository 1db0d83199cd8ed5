"""The HTTP server: its launcher, and the bridge from granian's event loop to the threads that run Django."""

import os

# granian's allocator, jemalloc, reads this when it is loaded: give pages back 0.2 s after they were freed. Its own 10 s
# begin anew with each request, and of the megabytes of slow readers most stayed.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:200,muzzy_decay_ms:0")
