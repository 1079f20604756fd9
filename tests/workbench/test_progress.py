from onehit.workbench.progress import track


def test_without_a_terminal_progress_is_a_plain_line_with_the_rate(capsys):
    assert list(track(range(3), "simulating", 256)) == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("simulating: 3/3, ") and captured.err.endswith(" patterns/s\n")
    assert captured.err.count("\n") == 1
