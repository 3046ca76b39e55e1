"""UCloud's YAML for tools and applications: read whole, every mistake explained.

Used by the command line before it sends a file and by the orchestrator before it stores one, so that both say the same.
`reading.read` is the way in.
"""
