"""Use cases that only ask: what is wrong with a store, and everything about one image."""
