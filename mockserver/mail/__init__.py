"""Both ends of a mail: the client that delivers it, and the sink that plays the relays."""
