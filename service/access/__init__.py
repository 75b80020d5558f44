"""Access: keys and their scopes, rates, the addresses and origins that are answered."""
