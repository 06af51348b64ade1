"""Keyfactor Command: the request path, the operations, and who may do what."""
