"""Messages to people: their words, the rules of their delivery and the channels' settings; pure, knows no vendor."""
