"""The built-in shapes, and the one function that turns what a user typed into a mesh.

Every mesh is normalised: centred on its volume centroid, volume-equivalent sphere diameter 1. "Longest
extent" below is in that unit. The building blocks come from trimesh, imported late because it takes 0.6 s.
"""

# trimesh tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from .bead_model import BeadModel
from .bead_shapes import BEAD_SHAPES
from .bodies import winding_numbers
from .compound import load_compound
from .densities.atoms import Atoms
from .densities.density_map import DensityMap
from .densities.map_file import ARRAY_SUFFIXES, MAP_SUFFIXES, load_map
from .densities.options import parse_options, split_spec
from .densities.structure_file import STRUCTURE_SUFFIXES, load_atoms
from .development import DEVELOPMENT
from .errors import InputError
from .mesh import MESH_SUFFIXES, Mesh, load_mesh
from .procedural import (
    blob,
    capsule,
    check_range,
    disc,
    random_polyhedron,
    random_prism,
    random_revolved,
    rod,
    stretched_icosahedron,
)


def icosahedron() -> Mesh:
    """Regular icosahedron, the shape of many viruses: 20 faces, longest extent 1.182."""
    from trimesh import creation

    solid: Any = creation.icosahedron()
    return Mesh(solid.vertices, solid.faces, "icosahedron").normalised()


def soccer_ball() -> Mesh:
    """Truncated icosahedron: 12 pentagons and 20 hexagons in 116 triangles, longest extent 1.049."""
    from trimesh import convex

    big = icosahedron()
    edges = np.concatenate([big.faces[:, [0, 1]], big.faces[:, [1, 2]], big.faces[:, [2, 0]]])
    start, end = big.vertices[edges.T]
    solid = cast(Any, convex.convex_hull(start + (end - start) / 3))  # both directions of an edge: its two thirds)
    return Mesh(solid.vertices, solid.faces, "soccer-ball").normalised()


def torus(radius_ratio: float = 3.5, resolution: int = 48) -> Mesh:
    """Ring about the z axis: 2304 triangles, longest extent 1.776, 1.50 times that of the icosahedron.

    `radius_ratio` is the ring's radius over the tube's, above 1 and up to 20: thinner is wider (ratio 3:
    1.662, ratio 4: 1.888). `resolution` is the number of sections around the ring (8 to 512); around the
    tube there are half as many, so resolution^2 triangles. Raises InputError outside these ranges.
    """
    from trimesh import creation

    if not 1 < radius_ratio <= 20:
        raise InputError(f"torus has radius_ratio {radius_ratio}; give a ring over tube ratio in (1, 20]")
    check_range("torus", "resolution", resolution, 8, 512)
    solid: Any = creation.torus(radius_ratio, 1.0, major_sections=resolution, minor_sections=resolution // 2)
    return Mesh(solid.vertices, solid.faces, "torus").normalised()


def sphere(subdivisions: int = 3) -> Mesh:
    """Sphere as an icosahedron subdivided 0 to 6 times: 1280 triangles, longest extent 1.003.

    Raises InputError for other `subdivisions`; each multiplies the 20 triangles by 4.
    """
    return replace(spheroid(1.0, subdivisions), name="sphere")


def spheroid(aspect: float = 1.5, subdivisions: int = 3) -> Mesh:
    """Ellipsoid of revolution about z: 1280 triangles, longest extent 1.314 (finer: aspect^(2/3) if above 1).

    `aspect` is the polar over the equatorial diameter, 0.05 to 20 (below 1 is a disc, extent
    aspect^(-1/3)); `subdivisions` as for the sphere. Raises InputError outside these ranges.
    """
    from trimesh import creation

    check_range("spheroid", "aspect", aspect, 0.05, 20)
    check_range("spheroid", "subdivisions", subdivisions, 0, 6)
    solid: Any = creation.icosphere(subdivisions)
    return Mesh(solid.vertices * [1.0, 1.0, aspect], solid.faces, "spheroid").normalised()


def cube() -> Mesh:
    """Cube along the axes: 6 faces in 12 triangles, longest extent (the space diagonal) 1.396."""
    from trimesh import creation

    solid: Any = creation.box()
    return Mesh(solid.vertices, solid.faces, "cube").normalised()


def shell(
    outer: str = "sphere:subdivisions=2",
    inner: str = "sphere:subdivisions=2",
    ratio: float = 0.7,
    contrast: float = 0.0,
) -> Mesh:
    """A body within another one, about the same centroid: by default an empty capsid, longest extent 1.164.

    `outer`, `inner`: their shapes, names or mesh files, with one parameter each at most; `ratio`: the core's
    volume-equivalent diameter over the outer one's, 0.05 to 0.99; `contrast`: the core's refractive index minus 1 over
    that of the shell, which is the particle's material: 0 for a hollow one, 2 for a core twice as dense, up to 1000.
    The size is that of a solid of the shell's material which scatters as much forward: a hollow one counts its wall
    only, so a thinner wall makes a wider particle. Raises InputError outside these ranges, and where the core sticks
    out of the shell.
    """
    check_range("shell", "ratio", ratio, 0.05, 0.99)
    check_range("shell", "contrast", contrast, 0, 1000)
    hull, core = _solid(outer), _solid(inner)
    corners = core.vertices * ratio
    outside = winding_numbers(corners, hull.vertices[hull.faces]) < 0.5
    pierced = winding_numbers(hull.vertices, corners[core.faces]) > 0.5
    if outside.any() or pierced.any():
        raise InputError(f"the core of shell:outer={outer},inner={inner} sticks out: give a ratio below {ratio}")
    return Mesh(
        np.concatenate([hull.vertices, corners]),
        np.concatenate([hull.faces, core.faces + len(hull.vertices)]),
        "shell",
        np.repeat([1.0, contrast - 1], [len(hull.faces), len(core.faces)]),
    ).normalised()


def _solid(spec: str) -> Mesh:
    """A part of a shell. What has several densities would get wrong ones, since a core takes the place of one."""
    part = geometry(spec)
    if not isinstance(part, Mesh) or part.density is not None:
        raise InputError(f"shell cannot be made of {spec}, which is no mesh of one density: give a solid")
    return part


GEOMETRIES: dict[str, Callable[..., Mesh | BeadModel]] = {
    "icosahedron": icosahedron,
    "soccer-ball": soccer_ball,
    "torus": torus,
    "sphere": sphere,
    "spheroid": spheroid,
    "cube": cube,
    "random-polyhedron": random_polyhedron,
    "random-prism": random_prism,
    "random-revolved": random_revolved,
    "stretched-icosahedron": stretched_icosahedron,
    "capsule": capsule,
    "disc": disc,
    "rod": rod,
    "shell": shell,
    "blob": blob,
    **BEAD_SHAPES,
    **DEVELOPMENT,
}


_DENSITY_SUFFIXES = (*STRUCTURE_SUFFIXES, *MAP_SUFFIXES, *ARRAY_SUFFIXES)
_FILE_SUFFIXES = (*MESH_SUFFIXES, *_DENSITY_SUFFIXES)


def has_own_size(spec: str) -> bool:
    """Whether a geometry is atoms or a density map, which have sizes of their own."""
    return not _is_named(spec) and split_spec(spec, _DENSITY_SUFFIXES) is not None


def geometry_files(spec: str) -> list[str]:
    """The files that a geometry is read from, without the options behind a colon."""
    if _is_named(spec):
        parameters = spec.partition(":")[2].split(",")
        return [file for item in parameters for file in geometry_files(item.partition("=")[2].strip())]
    found = split_spec(spec, _FILE_SUFFIXES)
    return [found[0]] if found else []


def moved_geometry(spec: str, found_at: Mapping[str, str]) -> str:
    """The same geometry with its files where the mapping has them."""
    if _is_named(spec):
        name, colon, parameters = spec.partition(":")
        items = [item.partition("=") for item in parameters.split(",")]
        return (
            name + colon + ",".join(key + sign + moved_geometry(value.strip(), found_at) for key, sign, value in items)
        )
    found = split_spec(spec, _FILE_SUFFIXES)
    return found_at[found[0]] + spec.removeprefix(found[0]) if found else spec


def _is_named(spec: str) -> bool:
    return spec.partition(":")[0] in GEOMETRIES


def geometry(spec: str) -> Mesh | BeadModel | Atoms | DensityMap:
    """The normalised mesh, or bead model, that `spec` names, or a particle of a size of its own.

    `spec` is a name from GEOMETRIES, alone or with parameters (`torus:radius_ratio=3,resolution=64`); a mesh file,
    alone (`particle.stl`) or with contrasts of its objects (`virus.obj:capsid=1,core=0.8`); or a file of atoms or of
    a density map, alone or with options (`1ihm.pdb.gz:assembly=none`, `emd.map:threshold=0.02`). The mesh's name is
    `spec`, or the file's stem. Raises InputError for an unknown name, parameter or value, and for what load_mesh,
    load_compound, load_atoms and load_map refuse.
    """
    name, _, parameters = spec.partition(":")
    if not _is_named(spec):
        if found := split_spec(spec, STRUCTURE_SUFFIXES):
            return load_atoms(*found)
        if found := split_spec(spec, (*MAP_SUFFIXES, *ARRAY_SUFFIXES)):
            return load_map(*found)
        if (found := split_spec(spec, MESH_SUFFIXES)) and found[1]:
            names = [item.partition("=")[0].strip() for item in found[1].split(",")]
            given = parse_options(found[0], found[1], dict.fromkeys(names, _contrast))
            return replace(load_compound(found[0], cast(dict[str, float], given)), name=spec)
        if re.search(r"[/\\]", spec) or Path(spec).suffix.lower() in MESH_SUFFIXES:
            return load_mesh(spec)
        near = difflib.get_close_matches(name.lower(), GEOMETRIES, n=1)
        raise InputError(
            f"unknown geometry {name!r}{f', did you mean {near[0]!r}?' if near else ';'} "
            f"known are {', '.join(GEOMETRIES)}, and files ending in {', '.join(_FILE_SUFFIXES)}"
        )
    make = GEOMETRIES[name]
    mesh = make(**_parse_parameters(name, parameters, make)) if parameters else make()
    return replace(mesh, name=spec)


def _contrast(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1000:
        raise InputError("a number from 0 to 1000 is needed")
    return value


def _parse_parameters(name: str, text: str, make: Callable[..., Mesh | BeadModel]) -> dict[str, int | float | str]:
    """`a=1,b=2.5` -> values of the types that `make` has as defaults."""
    parameters = inspect.signature(make).parameters.items()
    known: dict[str, Callable[[str], int | float | str]] = {key: type(p.default) for key, p in parameters}
    values: dict[str, int | float | str] = {}
    for item in text.split(","):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise InputError(f"{name} has no parameter {key!r}; it {takes}, written {name}:key=value")
        if key in values:
            raise InputError(f"{name} has {key} twice in {text!r}: give it once")
        try:
            values[key] = known[key](value)
        except ValueError:
            kind = "a whole number" if known[key] is int else "a number"
            raise InputError(f"{name} needs {kind} for {key}, not {value!r}: write {key}=3") from None
    return values
