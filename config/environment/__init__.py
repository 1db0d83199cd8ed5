"""What comes in from outside: the variables of the environment, and how each is read."""
