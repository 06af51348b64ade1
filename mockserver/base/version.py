"""The version of the project, also for the build."""

__version__ = "0.1.0"
