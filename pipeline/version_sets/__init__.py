"""What events are judged by besides themselves: version sets, the log of which is in force, and their changes."""
