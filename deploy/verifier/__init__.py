"""The stand-alone verifier of evidence bundles: handed to strangers, shares no code with the product."""
