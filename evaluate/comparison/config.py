"""What is compared, and on what: the only place that holds those defaults. Imports no JAX."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ...geometries.errors import InputError
from ...simulate.config import SimulationConfig
from ...simulate.file_config import FileConfig
from ...train.config import NetworkConfig, TrainConfig, varied_icosahedra
from ..config import protocol_particles

SystemName = Literal["resnet", "vgg16", "diffusion-map", "radial-angular", "trained-run"]
PartName = Literal["accuracy", "robustness", "speed", "growth", "depth", "activations"]
PARTS: tuple[PartName, ...] = ("accuracy", "robustness", "speed", "growth", "depth", "activations")


def fixed_set_training() -> TrainConfig:
    """The network of the main job, on a fixed set."""
    return TrainConfig(steps=2400)


def shallow_training() -> TrainConfig:
    """A single view, so that depth is the only thing that changes."""
    return TrainConfig(network=NetworkConfig(views=("log",)), steps=1200, confidence=0.0)


@dataclass(frozen=True)
class CompareConfig:
    """Systems that tell single hits from others, side by side on the same frames."""

    parts: tuple[PartName, ...] = PARTS
    """Parts of the comparison to make."""
    systems: tuple[SystemName, ...] = ("resnet", "vgg16", "diffusion-map", "radial-angular")
    """Systems to compare; trained-run is the classifier of `--run`, which has learned already."""
    run: Path | None = None
    """Run directory of a trained classifier, for the system trained-run and for the activations."""
    train: SimulationConfig = field(default_factory=varied_icosahedra)
    """Simulation that all systems learn from."""
    test: SimulationConfig = field(default_factory=protocol_particles)
    """Simulation that they are scored on, for each of `--geometry` in turn."""
    geometry: tuple[str, ...] = ("icosahedron", "soccer-ball", "torus")
    """Geometries to score."""
    train_count: int = 7000
    """Simulated frames to learn from."""
    test_count: int = 2000
    """Simulated frames to score, of the training's kind and of each geometry."""
    experiment: Path | None = None
    """File of labelled real frames, a glob in quotes, or a list of files (.lst, .txt), for exp/exp and sim/exp;
    `onehit inspect` shows how it is understood."""
    read_experiment: FileConfig = field(default_factory=FileConfig)
    minimum_photons: float = 13000.0
    """Real frames of at least so many photons are scored once more alone: many a frame labelled bad is merely faint."""
    folds: int = 5
    """Parts that real frames are cut into for exp/exp; each is scored by what learned from the others. 0: as many as
    there are frames (leave one out)."""
    resnet: TrainConfig = field(default_factory=fixed_set_training)
    """How the ResNet learns from the frames it is given; what else this says is not used."""
    vgg16_weights: str = "random"
    """File of VGG16's weights (Keras HDF5, or safetensors with torchvision's names), or `random`."""
    vgg16_size: int = 224
    """Rows and columns of VGG16's input; less than 224 is faster."""
    batch_sizes: tuple[int, ...] = (1, 8, 64, 256)
    """Frames scored at once, for the speed."""
    growth: tuple[int, ...] = (1000, 2000, 4000, 7214)
    """Numbers of frames that the diffusion map is timed on."""
    depths: tuple[tuple[int, int], ...] = ((1, 1), (2, 2), (3, 3), (4, 4))
    """ResNets (n, m) of the depth sweep."""
    depth_training: TrainConfig = field(default_factory=shallow_training)
    """How each of them is trained, on frames made on the fly and on a fixed set."""
    depth_count: int = 512
    """Frames of that fixed set."""
    seed: int = 11
    """Seed of the frames to learn from; those to score have the next ones."""

    def check(self) -> "CompareConfig":
        """Itself, or InputError with the first impossible value."""
        self.train.check()
        self.test.check()
        self.resnet.check()
        self.depth_training.check()
        for name in ("parts", "systems", "geometry"):
            if not getattr(self, name):
                raise InputError(f"{name} is empty; name at least one")
        for name, least in (("train_count", 50), ("test_count", 20), ("depth_count", 50)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("train", "test"):
            if not 0 < (share := getattr(self, name).good_fraction) < 1:
                raise InputError(f"{name}.good_fraction is {share}; it must lie between 0 and 1, both excluded")
        for n, m in self.depths:
            replace(self.depth_training.network, n=n, m=m).check()
        for name in ("batch_sizes", "growth"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give numbers of 1 or more")
        if "trained-run" in self.systems and self.run is None:
            raise InputError("trained-run needs the run directory of a trained classifier: add --run DIRECTORY")
        if self.vgg16_weights != "random" and not Path(self.vgg16_weights).is_file():
            raise InputError(f"vgg16_weights {self.vgg16_weights} is no file: name one, or say random")
        if self.folds == 1 or self.folds < 0:
            raise InputError(f"folds is {self.folds}; it must be 2 or more, or 0 to leave one out")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed is {self.seed}; it must lie in 0 to 2^31, 2^31 excluded")
        return self

    def quick(self) -> "CompareConfig":
        """The same with at most so many frames and steps that two cores need about ten minutes."""
        depth = replace(
            self.depth_training,
            steps=min(self.depth_training.steps, 300),
            network=replace(self.depth_training.network, size=min(self.depth_training.network.size, 64)),
        )
        return replace(
            self,
            train_count=min(self.train_count, 1500),
            test_count=min(self.test_count, 400),
            resnet=replace(self.resnet, steps=min(self.resnet.steps, 400)),
            vgg16_size=min(self.vgg16_size, 96),
            batch_sizes=tuple(b for b in self.batch_sizes if b <= 64) or self.batch_sizes[:1],
            growth=tuple(n for n in self.growth if n <= 2000) or self.growth[:1],
            depths=self.depths[:3],
            depth_training=depth,
            depth_count=min(self.depth_count, 256),
            folds=min(self.folds, 3) or 3,
        )
