"""The rules as plain data and pure functions. Standard library only; no clock, no input, no output."""
