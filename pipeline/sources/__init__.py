"""Everything that brings access events in: decoders of foreign formats, ingest, the simulator."""
