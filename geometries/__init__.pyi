from .bead_shapes import bead_family as bead_family
from .errors import InputError as InputError
from .mesh import Mesh as Mesh
from .mesh import load_mesh as load_mesh
from .procedural import procedural_family as procedural_family
from .shapes import GEOMETRIES as GEOMETRIES
from .shapes import geometry as geometry
