"""The commands, as dataclasses that the command line is generated from. Imports no JAX: help must be quick."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from ..evaluate.calibration.search import CalibrateConfig
from ..evaluate.comparison.config import CompareConfig
from ..evaluate.config import EvaluateConfig
from ..simulate.config import SimulationConfig
from ..simulate.file_config import FileConfig
from ..simulate.sets.slurm import SlurmConfig
from ..train.config import ExpectedConfig, TrainConfig


@dataclass(frozen=True)
class Study:
    """The main job: train a classifier on simulated patterns, score it, and write a report.

    Scores it on each geometry and, where a file is given, on real patterns.
    """

    out: Path = Path("runs/study")
    """Run directory: config.json, checkpoints/, metrics.json, figures/, report.html. An interrupted one goes on."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    train: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)
    evaluate: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)


@dataclass(frozen=True, kw_only=True)
class SharedWork:
    """Who does the work of a command that other processes may share."""

    workers: int = 0
    """Processes on this machine that share the work (0: this one does it). Needs onehit[cluster]."""
    scheduler: str | None = None
    """Address of a running dask scheduler whose workers share the work, such as tcp://host:8786. Needs
    onehit[cluster]."""
    slurm: bool = False
    """Have workers in SLURM jobs share the work; the options under --slurm say what jobs. Needs onehit[cluster]."""
    jobs: Annotated[SlurmConfig, arg(name="slurm")] = field(default_factory=SlurmConfig)
    part: str | None = None
    """Do only part K of N, as K/N with K from 0: every Nth shard of a set, every Nth training of a sweep and its cells.
    When all parts are done, the command without --part completes the whole (of a set, with --resume)."""
    sbatch: int | None = None
    """Print a script that has SLURM do the work by so many array tasks, each a part, and a last job."""


@dataclass(frozen=True)
class Simulate(SharedWork):
    """Write labelled simulated patterns, with their whole truth, to a file or to a set of many."""

    out: Positional[Path]
    """File to write; its name says the format: .cxi, .h5 or .hdf5 (plain), .emc (Dragonfly's photons). More patterns
    than --shard go to many files in the folder OUT.shards, which OUT shows as one."""
    count: int = 1000
    """Number of patterns. The first ones do not depend on it."""
    seed: int = 0
    """Seed. Pattern i is a function of the options, the seed and i alone."""
    format: Literal["cxi", "hdf5", "emc", "emc-h5"] | None = None
    """Format, where the name does not say it: emc-h5 is Dragonfly's photon file as HDF5 (.h5)."""
    shard: int | None = None
    """Most patterns in a file; memory holds about five times their counts at once, 20 bytes a pixel. Default: as many
    patterns as have 67 million pixels, at most 4096."""
    resume: bool = False
    """Go on with a set that was begun, after any stop: shards that are there are checked, damaged ones made again."""
    dry_run: bool = False
    """Only say how large the set would be and how long it would take."""
    simulation: Annotated[SimulationConfig, arg(name="")] = field(default_factory=SimulationConfig)


_Axes = UseAppendAction[tuple[tuple[str, ...], ...]]


@dataclass(frozen=True)
class Sweep(SharedWork):
    """Train many classifiers and score each on many tests: every option of a study can be an axis of either.

    All other options say what is alike in all trainings and tests. Each training leaves a run directory.
    """

    out: Path = Path("runs/sweep")
    """Directory: trainings/, cells/, sweep.csv, report.html. An interrupted sweep goes on; of a finished one, only what
    is new is done."""
    train_axis: Annotated[_Axes, arg(name="train.axis", metavar="NAME VALUE...")] = ()
    """An option of the training and its values, each in quotes if it is of several words: --train.axis
    simulation.fluctuation-strength "0 0" "0 0.5". Given again for further axes: all their combinations are trained."""
    train_latin_hypercube: Annotated[int | None, arg(name="train.latin-hypercube")] = None
    """Rather so many trainings, spread evenly over all axes but the seed. An axis of numbers may then be a law, such
    as --train.axis learning-rate log-uniform:low=1e-4,high=1e-2."""
    train_table: Annotated[Path | None, arg(name="train.table")] = None
    """CSV file of trainings: its head names options, each line is a training, or one for each value of the axes."""
    test_axis: Annotated[_Axes, arg(name="test.axis", metavar="NAME VALUE...")] = ()
    """The same of the tests: geometry, test.photons, test.instrument.preset, masked and so on. Without an axis
    geometry, each of --geometry is a test."""
    test_latin_hypercube: Annotated[int | None, arg(name="test.latin-hypercube")] = None
    """Rather so many tests, spread evenly over their axes."""
    test_table: Annotated[Path | None, arg(name="test.table")] = None
    """CSV file of tests, as of trainings."""
    test_file: Annotated[UseAppendAction[tuple[str, ...]], arg(name="test.file", metavar="NAME=FILE")] = ()
    """File of labelled real frames to score as well, read as --read-experiment says, and its name in tables. Given
    again for further files."""
    baseline: tuple[str, ...] = ()
    """Values of the trainings' axes, as NAME=VALUE: each training is compared with the one that has these, and else its
    own, on the same patterns."""
    only: tuple[str, ...] = ()
    """Work on these cells alone: values of axes, as NAME=VALUE, several of one axis or of many; file=NAME is one of the
    files."""
    retry: bool = False
    """Do again what failed before."""
    dry_run: bool = False
    """Only say how many trainings, tests and patterns there are, and how long they would take."""
    parquet: bool = False
    """Write sweep.parquet beside sweep.csv, its numbers as numbers. Needs onehit[parquet]."""
    watch: Path | None = None
    """Only show how the sweep in that directory stands, until it is done: what is at work, what is lost so far, the
    time left. Reads files alone, so it may run anywhere that sees them; other options are not needed."""
    rate: float = 60.0
    """For --dry-run: patterns of 128 x 128 pixels a second that a process trains on, of fewer pixels as many more,
    where no training was done here before to tell."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    train: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)
    evaluate: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)


@dataclass(frozen=True)
class Train:
    """Train a classifier, or go on with an interrupted training."""

    run_directory: Positional[Path]
    """Run directory: new, or one of the same configuration to go on with."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    distributed: bool = False
    """Be one of the processes that SLURM starts on one machine or several, to train one classifier together."""
    train: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class Evaluate:
    """Score a trained classifier across geometries and on real patterns; writes metrics, figures and a report."""

    run_directory: Positional[Path]
    """Run directory of a trained classifier."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    evaluate: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)


@dataclass(frozen=True)
class Compare:
    """Compare systems that find single hits: accuracy, robustness, speed, depth, what they look at; writes a report."""

    out: Path = Path("runs/compare")
    """Directory: config.json, comparison.json, figures/, report.html. An interrupted comparison goes on."""
    quick: bool = False
    """At most so many frames and steps that two cores need about ten minutes."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    compare: Annotated[CompareConfig, arg(name="")] = field(default_factory=CompareConfig)


@dataclass(frozen=True)
class Inspect:
    """Show what files of frames hold, how they are understood, and what is odd about them."""

    file: Positional[tuple[Path, ...]]
    """Files of frames, globs, or lists of files (.lst, .txt): CXI and its dialects, EMC, HDF5, NPY,
    MATLAB or TIFF. Or a particle: atoms (1ihm.pdb.gz:assembly=none), a density map (emd.map:threshold=0.02), a mesh,
    or a geometry's name (torus:radius_ratio=3)."""
    out: Path | None = None
    """Folder for inspect.json, inspect.png (mean frame, mask, asymmetry, radial profile, photons, a few frames) and,
    where more pixels should be masked, mask.npy (1 = do not use), which the suggested command takes."""
    frames: int = 2000
    """Most frames to look at; of a larger file, so many at random."""
    read: FileConfig = field(default_factory=FileConfig)


@dataclass(frozen=True)
class Classify:
    """Say which frames of files are single hits: verdict, score and photons of each, as a CSV table."""

    file: Positional[tuple[Path, ...]]
    """Files of frames, globs, or lists of files (.lst, .txt): CXI and its dialects, EMC, HDF5, NPY,
    MATLAB or TIFF; labels are not needed. Of several, the table has a column for the file."""
    run_directory: Annotated[Path | None, arg(name="run")] = None
    """Run directory of a trained classifier, or a file that `onehit pack` wrote. Default: the one that comes with
    onehit, which has learned from 216 simulated shapes of 45 to 96 nm."""
    out: Path | None = None
    """CSV file to write instead of standard output."""
    kept: Path | None = None
    """File to write the frames to, as the pictures that were judged, with mask, score, verdict, source file and frame
    of each; its name says the format: .cxi, .h5 or .hdf5 (plain), .emc (Dragonfly's photons)."""
    write: Literal["kept", "all"] = "kept"
    """Which frames `--kept` writes."""
    forecast: Path | None = None
    """Directory that `onehit calibrate` wrote for these frames, or such ones, and this classifier: its forecast is
    printed too."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    expected: Annotated[ExpectedConfig, arg(name="")] = field(default_factory=ExpectedConfig)
    read: FileConfig = field(default_factory=FileConfig)


@dataclass(frozen=True)
class Calibrate:
    """Fit a simulation to frames without labels: sizes, photons, backgrounds, shares of hits; writes a report."""

    file: Positional[tuple[Path, ...]]
    """Files of frames, globs, or lists of files (.lst, .txt), as for inspect. Labels are not looked at."""
    out: Path = Path("runs/calibration")
    """Directory to write: config.json for other commands, population.h5, calibration.json, report.html."""
    run_directory: Annotated[Path | None, arg(name="run")] = None
    """Run directory of a trained classifier, or a file that `onehit pack` wrote, whose rates are forecast. Default: the
    one that comes with onehit."""
    label: int = 0
    """Frames to choose for a person to label, those whose labels tell most: written to labels.csv (file, frame
    in it from 0), whose column single_hit is to be filled in with 1 or 0."""
    labels: Path | None = None
    """That file, filled in: nothing is fitted again, and what the labels say is added to the calibration in --out."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    read: FileConfig = field(default_factory=FileConfig)
    calibrate: Annotated[CalibrateConfig, arg(name="")] = field(default_factory=CalibrateConfig)


@dataclass(frozen=True)
class Gap:
    """Say how far a simulation is from frames without labels, in what, and what to change; writes a report.

    The simulation is the one that a classifier was trained on (--like), changed by what is given here.
    """

    file: Positional[tuple[Path, ...]]
    """Files of frames, globs, or lists of files (.lst, .txt): CXI and its dialects, EMC, HDF5, NPY,
    MATLAB or TIFF; labels are not needed."""
    out: Path = Path("runs/gap")
    """Directory to write: gap.json, figures/, report.html."""
    like: Path | None = None
    """Run directory of a trained classifier, or a file that `onehit pack` wrote: its training simulation is compared,
    and its scores are shown. Default: the one that comes with onehit."""
    frames: int = 1000
    """Most frames to compare; of a larger file, one at random from each of as many equal stretches."""
    patterns: int = 2000
    """Patterns simulated to compare with, and as many again to learn what each option does."""
    split: Literal["run", "brightness", "half"] | None = None
    """Compare parts as well: of each file (run), of the faintest, middle and brightest frames, or of each half of the
    detector."""
    strict: bool = False
    """Refuse files about which anything is odd, rather than say it alone: for pipelines."""
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    read: FileConfig = field(default_factory=FileConfig)


@dataclass(frozen=True)
class Pack:
    """Write a trained classifier as one small file, for others to classify with."""

    run_directory: Positional[Path]
    """Run directory of a trained classifier."""
    out: Positional[Path]
    """File to write, .npz."""


@dataclass(frozen=True)
class Tabulate:
    """Print the scores of runs side by side, as a Markdown table."""

    run_directory: Positional[tuple[Path, ...]]
    """Run directories that were scored, a column each."""


@dataclass(frozen=True)
class Gallery:
    """Draw every kind of hit, every effect, off and on, sorts of particles, detectors, and all shapes, as PNG files."""

    out: Positional[Path]
    """Folder to draw into."""
    seed: int = 0
    """Seed of the patterns."""
    simulation: Annotated[SimulationConfig, arg(name="")] = field(default_factory=SimulationConfig)


@dataclass(frozen=True)
class Bench:
    """Measure how fast and how right the simulation, the network, or a diffusion map is on this machine."""

    what: Positional[Literal["simulate", "write", "network", "diffusion-map"]]
    """What to measure: simulate, for patterns, particles from files, populations, photon counting, growth with pixels,
    particles and edges, and memory; write, for how much of that speed is left when the patterns go to files; network,
    for training and scoring beside PyTorch's and ONNX Runtime's, if installed; diffusion-map, for one beside
    scikit-learn's and, if installed, pydiffmap's, and its growth with the number of snapshots."""
    out: Path | None = None
    """JSON file to write the numbers to."""
    batch: int = 256
    """Patterns a batch."""
    repeats: int = 7
    """Batches of which the median is taken."""
    stream: int = 100_000
    """Patterns streamed to see whether memory grows with their number."""
    count: int = 7214
    """Snapshots of the largest diffusion map."""
    peers: bool = True
    """Whether the networks and diffusion maps of others, which take minutes, are measured too."""
