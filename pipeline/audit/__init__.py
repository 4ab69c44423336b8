"""What is asked of the store about what happened: the answers' types, below those who fetch and who show them."""
