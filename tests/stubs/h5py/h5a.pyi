from typing import Any

import numpy as np

class AttrID:
    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None
    def get_storage_size(self) -> int: ...
