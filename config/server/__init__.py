"""The HTTP server: its launcher, and the bridge from granian's event loop to the threads that run Django."""
