"""HTTP on sockets, and what the applications agree on with the listener."""
