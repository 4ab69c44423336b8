"""Evidence bundles with a known verdict: each a valid bundle of the golden corpus, changed in one named way."""
