"""The breach clock: who must be told of a suspected breach, until when, of what. A register of laws; pure."""
