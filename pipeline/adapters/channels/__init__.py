"""Senders of notifications: one channel a file, all of them behind one guarded client."""
