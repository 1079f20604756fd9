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
    modules = [
        ".".join(("onehit", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for floor in floors
        for path in (ROOT / floor).rglob("*.py")
    ]
    check = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    assert 'fresh' in importlib.import_module(name).__file__, name\n"
        "import onehit.geometries, onehit.simulate, onehit.train, onehit.evaluate\n"
        "for floor in (onehit.geometries, onehit.simulate, onehit.train, onehit.evaluate):\n"
        "    for name in floor.__all__: getattr(floor, name)\n"
        "from onehit.workbench.reports.page import report_content, write_page\n"
        "write_page('report.html', 'report.html', 'x', report_content({'robustness': {}}), {})\n"
    )
    subprocess.run([str(python), "-c", check, *modules], check=True, cwd=tmp_path)
