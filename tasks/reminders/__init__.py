"""Reminders: when each of a task fires, and mails and other channels that tell of them; and the daily digest."""
