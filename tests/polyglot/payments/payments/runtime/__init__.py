"""What services/CONTRACT.md says for every service."""
