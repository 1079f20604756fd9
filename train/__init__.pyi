from .classifier import Classifier as Classifier
from .config import NetworkConfig as NetworkConfig
from .config import TrainConfig as TrainConfig
from .loop import score_source as score_source
from .loop import train as train
from .networks.vgg16 import VGG16Classifier as VGG16Classifier
