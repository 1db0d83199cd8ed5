"""The process: settings, server, database backend and HTTP. It knows no user and no task."""

VERSION = "0.2.0"  # of Tickbase, by https://semver.org; docs/releases.md
