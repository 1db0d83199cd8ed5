"""The generator behind `manage.py startresource`: a spec is read and checked, and an app is written from it."""
