"""What Tickbase promises when something breaks: `python -m tests.chaos` measures it, the tests a short form of it."""
