"""What the company knows about actors, networks, resources, subjects and work: pure data, tokens only.

Read by the adapter `pipeline.adapters.directory`, looked up by `enrich`, kept as artefacts of a version set.
"""

from pipeline.directory.snapshot import DirectorySnapshot

__all__ = ["DirectorySnapshot"]
