"""What operators do: back up, restore, and find out what is wrong."""
