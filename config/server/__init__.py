"""The HTTP server: granian in front, and the threads that run Django behind it."""
