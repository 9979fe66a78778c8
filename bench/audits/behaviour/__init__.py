"""What changed for the others: popularity, fairness, representations. These describe and claim no memory."""
