"""Stand-alone verifier of accesstrail evidence bundles, written from docs/reference/evidence.md alone.

It imports the standard library and `cryptography`, and nothing of the product: what it finds does not rest on the code
that made the bundle. Copy this folder anywhere; `python -m accesstrail_verify BUNDLE --keys ledger.pub`.
"""
