"""The output of tasks of every kind: named pipes that nobody's death breaks, and the pump that empties them."""
