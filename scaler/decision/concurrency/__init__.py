"""
How many requests one replica may hold at once, from what a window shows.

The least of what its KV cache, its latency targets, its engine and its owner allow.
"""
