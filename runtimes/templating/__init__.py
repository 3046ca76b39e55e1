"""Jinja in place of a command line, rendered where nothing can be reached (INV-33 to INV-43).

    render ──▶ process ═══ a Python of its own ═══▶ child ──▶ confinement ──▶ language
    in the replica actor    no environment, no files,         then the template
                            no network, hard limits

`render` is the entrance. What is right of the double line runs in the child only and imports Jinja; nothing left of it
does, so a task without a template costs nothing.
"""
