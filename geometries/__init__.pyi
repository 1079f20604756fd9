from .errors import InputError as InputError
from .mesh import Mesh as Mesh
from .mesh import load_mesh as load_mesh
from .shapes import GEOMETRIES as GEOMETRIES
from .shapes import geometry as geometry
