"""accesstrail's detectors: decide what is abnormal. Pure: no I/O, no clock, no global state."""
