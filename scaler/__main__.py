"""``python -m scaler`` is ``kvtide``."""

from .cli import main

main()
