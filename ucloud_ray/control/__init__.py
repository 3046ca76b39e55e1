"""The running engine: asyncio, no Ray, no HTTP, no SQL. What it needs of the world are the protocols in `ports`."""
