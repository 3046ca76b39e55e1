"""Runs one workload on this machine: a container, a process, or a scripted stand-in.

Knows no Ray, no FastAPI, no UCloud and no database. The control plane builds a `types.TaskSpec`, picks a
`driver.Driver` from `registry`, and keeps the opaque `types.TaskHandle` that a start returns.
"""
