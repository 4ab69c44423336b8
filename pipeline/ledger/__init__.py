"""Tamper evidence (RFC 6962): pure, no I/O, fit to run alone on an auditor's laptop."""
