"""A made-up musical world: its catalogue, its listeners' lives, and a server that shows them as Spotify would."""
