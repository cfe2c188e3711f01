"""Pages of docs/ of which a benchmark writes the part between two markers."""

import pathlib


def put(page: pathlib.Path, name: str, found: str) -> None:
    """
    Write what was found between ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises:
        ValueError: the page lacks one of them.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, found_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"{page}: no '{begin}' with '{end}' after it")
    page.write_text(f"{head}{begin}\n\n{found}\n{end}{tail}", encoding="utf-8")
