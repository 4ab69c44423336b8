"""How long rows are kept, and what keeps them longer: classes, legal holds, runs. Pure."""
