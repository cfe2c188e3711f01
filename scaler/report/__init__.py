"""A Decision or a Run as text, JSON, HTML or plots; pure."""
