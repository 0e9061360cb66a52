"""What producers of usage import: `quotepart.client`. It needs httpx and the standard library, and nothing of `app`."""
