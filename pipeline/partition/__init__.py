"""One partition from assignment to revocation: `worker.py` owns it, the rest is what it does step by step."""
