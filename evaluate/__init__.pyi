from .config import EvaluateConfig as EvaluateConfig
from .metrics import auc as auc
from .metrics import auc_interval as auc_interval
from .metrics import rate_interval as rate_interval
from .metrics import summarise as summarise
from .robustness import score_experiment as score_experiment
from .robustness import score_geometries as score_geometries
