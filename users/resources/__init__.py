"""The kit of resources: tables of rows that belong to a user, declared once and served by every interface."""
