"""What alerts lead to: incidents that are handled and people who are told, each partition and channel by one writer."""
