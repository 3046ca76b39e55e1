"""A UCloud/Core in miniature: users, catalogue, products, the end-user Jobs API and the control API.

A process of its own with a database of its own. It knows the provider only over HTTP, with signed tokens, exactly as
UCloud/Core does. `serve` runs it; `create_app` is the same for a server or test that brings its own loop.
"""
