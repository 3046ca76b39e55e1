"""The provider API as UCloud/Core calls it (`spec` provider-api). FastAPI; knows the wire models and `JobService` only.

A request goes through `endpoint` (authenticate, read, validate, answer) to one method of `jobs`, `products` or
`platform`; log streams through `follow`.
"""
