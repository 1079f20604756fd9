import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_every_module_and_they_import(tmp_path):
    """In a fresh environment that sees this one's dependencies, but not its editable install."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "fresh", with_pip=False)
    python = tmp_path / "fresh" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "-q", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = (tmp_path / "fresh").glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    floors = ("geometries", "simulate", "train", "evaluate", "workbench")
    modules = [f"onehit.{f}.{p.stem}" for f in floors for p in (ROOT / f).glob("*.py") if p.stem != "__init__"]
    check = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    assert 'fresh' in importlib.import_module(name).__file__, name\n"
        "import onehit.geometries, onehit.simulate, onehit.train, onehit.evaluate\n"
        "for floor in (onehit.geometries, onehit.simulate, onehit.train, onehit.evaluate):\n"
        "    for name in floor.__all__: getattr(floor, name)\n"
        "from onehit.workbench.report import report_content, write_page\n"
        "write_page('report.html', 'report.html', 'x', report_content({'robustness': {}}), {})\n"
    )
    subprocess.run([str(python), "-c", check, *modules], check=True, cwd=tmp_path)


def test_each_floor_imports_only_floors_below_it():
    floors = ("geometries", "simulate", "train", "evaluate", "workbench")
    for height, floor in enumerate(floors):
        for path in (ROOT / floor).glob("*.py"):
            above = [f"..{other}" for other in floors[height + 1 :]]
            text = path.read_text()
            assert not [name for name in above if f"from {name}" in text], path
            assert "import onehit" not in text and "from onehit" not in text, path
