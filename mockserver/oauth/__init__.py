"""Both ends of a token: the client that asks for it, and the identity provider."""
