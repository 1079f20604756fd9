"""Closed triangle meshes: reading, checking, measuring, and merging triangles into flat faces."""

# SciPy and trimesh tell types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from warnings import warn

import numpy as np
from jaxtyping import Float, Int

from .bodies import bodies_of, inside_out, may_overlap, united
from .errors import InputError, InputWarning
from .extent import longest_distance

# Read by trimesh with no further package. A fixed list, so that a geometry's name is told from a
# file's without importing trimesh (0.6 s).
MESH_SUFFIXES = (".stl", ".obj", ".ply", ".off", ".glb")
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class FlatFaces:
    """The straight edges between a mesh's K flat faces.

    The face `left[e]` has its boundary run counter-clockwise (seen from outside) along `edges[e]`; the face
    `right[e]` has it run the other way.
    """

    edges: Int[np.ndarray, "edges 2"]  # the two ends as indices into the mesh's vertices
    left: Int[np.ndarray, " edges"]  # 0 to K - 1
    right: Int[np.ndarray, " edges"]
    density: Float[np.ndarray, " flat"] | None  # see `Mesh`


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface of triangles; every Mesh that exists has passed the checks.

    `vertices` float64; `faces` int64, counter-clockwise seen from outside. Several disjoint
    bodies, and cavities (inner surfaces wound the other way), are fine. Surfaces that cross are not looked for: what
    two bodies share counts twice. `density`: what each face's surface adds to the density of all that it encloses,
    one for all faces of a surface; None: 1. Volume and centroid are weighted with it.
    Raises InputError for a mesh that is empty, not finite, open, non-manifold, inconsistently wound,
    inside out or flat.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    name: str
    density: Float[np.ndarray, " faces"] | None = None

    def __post_init__(self) -> None:
        for field, dtype in (("vertices", np.float64), ("faces", np.int64), ("density", np.float64)):
            if getattr(self, field) is None:
                continue
            array = np.array(getattr(self, field), dtype=dtype)
            array.flags.writeable = False  # the cached volume and centroid must stay true
            object.__setattr__(self, field, array)
        _check_arrays(self)
        _check_edges(self)
        _check_volume(self)

    @cached_property
    def _cone_volumes(self) -> Float[np.ndarray, " faces"]:
        """Signed volumes, times density, of the tetrahedra from the mean vertex to each triangle."""
        a, b, c = _corners(self.vertices - self.vertices.mean(axis=0), self.faces)
        volumes = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6
        return volumes if self.density is None else volumes * self.density

    @cached_property
    def volume(self) -> float:
        """Enclosed volume, in cubed units of the vertices."""
        return float(self._cone_volumes.sum())

    @cached_property
    def centroid(self) -> Float[np.ndarray, "xyz=3"]:
        """Centroid of the enclosed volume."""
        apex = self.vertices.mean(axis=0)
        cone_centroids = (self.vertices - apex)[self.faces].sum(axis=1) / 4
        return apex + self._cone_volumes @ cone_centroids / self.volume

    @property
    def circumradius(self) -> float:
        """Largest distance of a vertex from the origin."""
        return float(np.linalg.norm(self.vertices, axis=1).max())

    @cached_property
    def longest_extent(self) -> float:
        """Largest distance between two vertices."""
        return longest_distance(self.vertices, self.centroid)

    def normalised(self) -> "Mesh":
        """The same shape in this package's size convention.

        Its volume centroid is at the origin and its volume-equivalent sphere diameter is 1.
        """
        diameter = (6 * self.volume / np.pi) ** (1 / 3)
        return Mesh((self.vertices - self.centroid) / diameter, self.faces, self.name, self.density)

    def merged_faces(self, angle_tolerance: float = 1e-6) -> FlatFaces:
        """Merge adjacent triangles whose normals differ by less than `angle_tolerance` (radians).

        Edges inside a merged face are left out. A face may have holes: its inner boundaries are edges too.
        """
        from scipy.sparse import coo_array, csgraph

        a, b, c = _corners(self.vertices, self.faces)
        area_vectors = np.cross(b - a, c - a) / 2
        areas = np.linalg.norm(area_vectors, axis=1)
        normals = area_vectors / np.maximum(areas, np.finfo(float).tiny)[:, None]

        edges = _directed_edges(self.faces)
        twin = _twins(edges, len(self.vertices))
        face, other = np.arange(len(edges)) // 3, twin // 3
        flat = np.linalg.norm(normals[face] - normals[other], axis=1) < angle_tolerance
        # The normal of a needle-thin triangle is rounding noise, but it lies in the plane of whatever face is
        # beyond one of its long sides: it joins the one that is least thin.
        lengths = np.linalg.norm(np.subtract(*self.vertices[edges.T]), axis=1).reshape(-1, 3)
        height = 2 * areas / lengths.max(axis=1)
        long = lengths > lengths.min(axis=1, keepdims=True)
        side = 3 * np.arange(len(areas)) + np.where(long, height[other].reshape(-1, 3), -1).argmax(axis=1)
        flat[side[height < 1e-6 * lengths.max()]] = True

        links = coo_array((np.ones(flat.sum()), (face[flat], other[flat])), shape=(len(areas), len(areas)))
        group = cast(np.ndarray, csgraph.connected_components(links, directed=False)[1].astype(np.int64))
        kept = (edges[:, 0] < edges[:, 1]) & (group[face] != group[other])  # each edge once
        density = self.density
        if density is not None:
            density = density[np.unique(group, return_index=True)[1]]
        return FlatFaces(edges[kept], group[face[kept]], group[other[kept]], density)


def load_mesh(path: str | Path) -> Mesh:
    """Read a closed mesh from a local file (see MESH_SUFFIXES), normalised, named after the file's stem.

    A file with several objects becomes one mesh; coincident vertices are merged (STL repeats them). Bodies that overlap
    are united where manifold3d is installed (onehit[boolean]); warns (InputWarning) of them.
    Raises InputError for a missing, unreadable or unknown file and for what Mesh refuses.
    """
    path = Path(path).expanduser()
    # Coincident corners of different objects are one, so that what two of them share is found.
    triangles = np.concatenate([*read_objects(path).values()])
    return _without_overlap(merged(triangles, path.stem)).normalised()


def read_objects(path: Path, named: bool = False) -> dict[str, Float[np.ndarray, "faces 3 3"]]:
    """Triangles of the objects of a mesh file by their names, all moved and scaled alike to within 1 of their middle.

    named: whether what an OBJ file names (`o`) are objects of their own, rather than what has one material. Raises
    InputError for a missing, unreadable or unknown file.
    """
    import trimesh

    if path.suffix.lower() not in MESH_SUFFIXES:
        raise InputError(
            f"cannot tell the mesh format of {str(path)!r} from its ending {path.suffix!r}: "
            f"convert it to one of {', '.join(MESH_SUFFIXES)}"
        )
    if not path.is_file():
        raise InputError(f"there is no mesh file {str(path)!r}: check the path")
    try:
        # process=False: trimesh would merge vertices nearer than 1e-8, all of a particle drawn in metres.
        split = {"split_objects": True} if named and path.suffix.lower() == ".obj" else {}
        scene = cast(Any, trimesh.load_scene)(path, process=False, **split)
        parts: dict[str, np.ndarray] = {}
        for name in scene.graph.nodes_geometry:
            transform, geometry = scene.graph[name]
            part = scene.geometry[geometry].copy()
            if isinstance(part, trimesh.Trimesh):
                # Of no triangles trimesh makes an array of two axes.
                triangles = np.asarray(part.apply_transform(transform).triangles, dtype=np.float64)
                parts[str(name)] = triangles.reshape(-1, 3, 3)
    except Exception as error:  # whatever a parser raises on a broken file
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"cannot read {str(path)!r} as a {path.suffix.lower()} mesh ({reason}): export it again"
        ) from error
    points = np.concatenate([np.zeros((0, 3, 3)), *parts.values()]).reshape(-1, 3)
    if len(points) == 0 or not np.isfinite(points).all():  # `Mesh` says what is wrong
        return parts or {path.stem: points.reshape(-1, 3, 3)}
    middle = points.mean(axis=0)
    scale = np.abs(points - middle).max() or 1.0
    return {name: (triangles - middle) / scale for name, triangles in parts.items()}


def merged(triangles: Float[np.ndarray, "faces 3 3"], name: str) -> Mesh:
    """Triangles, of an extent of about 1, as a Mesh: corners nearer than about 1e-7 become one vertex."""
    points = triangles.reshape(-1, 3)
    _, first, vertex = np.unique(np.round(points, 7) + 0.0, axis=0, return_index=True, return_inverse=True)
    faces = vertex.reshape(-1, 3)
    collapsed = (faces == np.roll(faces, 1, axis=1)).any(axis=1)
    return Mesh(points[first], faces[~collapsed], name)


def _corners(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, "faces 3"], Float[np.ndarray, "faces 3"], Float[np.ndarray, "faces 3"]]:
    return vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]


def _directed_edges(faces: Int[np.ndarray, "faces 3"]) -> Int[np.ndarray, "3*faces 2"]:
    """Row 3f + i runs from corner i of face f to the next."""
    return np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)


def _twins(edges: Int[np.ndarray, "edges 2"], n_vertices: int) -> Int[np.ndarray, " edges"]:
    """For each directed edge of a closed mesh the index of its reverse."""
    forward = edges @ [n_vertices, 1]
    order = np.argsort(forward)
    return order[np.searchsorted(forward, edges @ [1, n_vertices], sorter=order)]


def _check_arrays(mesh: Mesh) -> None:
    vertices, faces, who = mesh.vertices, mesh.faces, f"mesh {mesh.name!r}"
    if vertices.size == 0 or faces.size == 0:
        raise InputError(f"{who} is empty ({len(vertices)} vertices, {len(faces)} faces): export the surface")
    if vertices.ndim != 2 or faces.ndim != 2 or vertices.shape[1] != 3 or faces.shape[1] != 3:
        raise InputError(f"{who} has arrays {vertices.shape} and {faces.shape}; give (V, 3) and (F, 3)")
    bad = int((~np.isfinite(vertices)).any(axis=1).sum())
    if bad:
        raise InputError(f"{who} has {bad} vertices that are not finite, of {len(vertices)}: export it again")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{who} has faces outside its vertices 0 to {len(vertices) - 1}: renumber them")


def _check_edges(mesh: Mesh) -> None:
    edges, who = _directed_edges(mesh.faces), f"mesh {mesh.name!r}"
    sides = np.unique(np.sort(edges, axis=1) @ [len(mesh.vertices), 1], return_counts=True)[1]
    if crowded := int((sides > 2).sum()):
        raise InputError(
            f"{who} is not a manifold: {crowded} edges are shared by more than two faces; "
            "remove inner walls and doubled faces"
        )
    if boundary := int((sides < 2).sum()):
        raise InputError(f"{who} is open: {boundary} edges bound a hole; fill its holes in a mesh editor")
    repeated = len(edges) - len(np.unique(edges @ [len(mesh.vertices), 1]))
    if repeated:
        raise InputError(
            f"{who} is inconsistently wound: at {repeated} edges neighbouring faces point opposite ways; "
            "recompute its normals outward"
        )


def _check_volume(mesh: Mesh) -> None:
    who, bodies = f"mesh {mesh.name!r}", bodies_of(mesh.vertices, mesh.faces)
    if len(bodies) == 1 and mesh.volume < 0:
        raise InputError(f"{who} is inside out (volume {mesh.volume:.3g}): flip its faces")
    if wrong := inside_out(bodies) if len(bodies) > 1 else []:
        some = ", ".join(f"{body.number} ({len(body.triangles)} faces)" for body in wrong[:_MOST_NAMED])
        raise InputError(
            f"{who}: body {some}{', ...' if len(wrong) > _MOST_NAMED else ''} of {len(bodies)} is inside out, and no "
            "cavity of another: recompute its normals outward (Blender: Recalculate Outside; trimesh: fix_normals)"
        )
    extent = np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    if mesh.volume <= 1e-9 * extent**3:
        raise InputError(f"{who} encloses no volume ({mesh.volume:.3g}): give it a solid body")


def _without_overlap(mesh: Mesh) -> Mesh:
    """The same where no two bodies overlap, else all of them united; warns of that, and of what cannot be told."""
    bodies = bodies_of(mesh.vertices, mesh.faces)
    pair = may_overlap(bodies)
    if pair is None:
        return mesh
    one, other = sorted(body.number for body in pair)
    what = f"mesh {mesh.name!r}: bodies {one} and {other} of {len(bodies)}"
    try:
        whole = Mesh(*united(bodies), mesh.name)
    except ImportError:
        cure = 'pip install "onehit[boolean]" has them united, or unite them in a mesh editor'
        warn(f"{what} may overlap, and what they share counts twice: {cure}", InputWarning, stacklevel=3)
        return mesh
    except ValueError as error:
        reason = f"what they share counts twice, and they cannot be united ({error}): unite them in a mesh editor"
        warn(f"{what} may overlap; {reason}", InputWarning, stacklevel=3)
        return mesh
    if (wrong := abs(mesh.volume / whole.volume - 1)) < 1e-6:
        return mesh
    said = f"overlap, and are united: otherwise {100 * wrong:.2g} % of the volume would have been counted wrongly"
    warn(f"{what} {said}", InputWarning, stacklevel=3)
    return whole
