"""UCloud's JSON as it is on the network, one module per topic. Pydantic only; knows no HTTP and no engine.

Reading is tolerant, because two generations of UCloud/Core talk to us (D13): unknown fields are ignored and an
absent field, `null` and an empty list or map mean the same. Writing is exact: see `common.to_wire`.
"""
