"""The measures of an evaluation, one theme a file; `detectors.evaluate` puts them together and writes the report."""
