"""How much fits: models, GPUs, engines' caches, and the requests that a replica may hold."""
