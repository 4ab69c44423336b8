"""Who may do what: accounts, the one matrix of roles and actions, separation of duties, lockout. Pure."""
