"""The rules of services/CONTRACT.md for every service."""
