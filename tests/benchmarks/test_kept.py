"""Runs of a benchmark: none is played twice, and side by side none is lost."""

from benchmarks.kept import file_of, kept, played


def squared(number: int) -> dict[str, float]:
    return {"number": number, "square": number**2, "cpu_s": 0.25}


def test_a_run_is_played_once_for_what_it_depends_on(tmp_path):
    runs = []

    def play() -> dict[str, int]:
        runs.append(1)
        return {"run": len(runs)}

    first, again, other = (
        kept(file_of(tmp_path, about), play) for about in (["a", 1], ["a", 1], ["a", 2])
    )

    assert (first, again, other) == ({"run": 1}, {"run": 1}, {"run": 2})


def test_every_run_comes_back_and_is_told(capsys):
    found = list(played([2, 3, 4], squared, 2, told="number {number}".format_map))

    assert sorted(one["square"] for one in found) == [4, 9, 16]
    told = capsys.readouterr().err
    assert "number 3  (0.25 s of CPU)" in told
    assert "3/3" in told
