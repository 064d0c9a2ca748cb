"""A made-up music catalogue, simulated listeners, and a server that presents their plays as Spotify does."""
