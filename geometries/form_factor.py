"""Exact Fourier transform of a closed polyhedral mesh: F(q) = integral over the body of exp(-i q.r) d^3r.

The divergence theorem turns the volume integral into integrals over the faces, Stokes' theorem turns those into
sums over the edges (Wuttke 2021, J. Appl. Cryst. 54, 580, eqs. 7-15). The edge sums have removable
singularities at q = 0 and where q is normal to a face; there the Taylor series about the centroid takes over.
"""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from .elementary import ball_transform, cos_sin
from .mesh import Mesh

_MOST_TERMS = 2**22
"""q times edges that are computed at once: 70 MB, and 0.5 GB for a gradient."""


class Polyhedron(NamedTuple):
    """What the edge sums need, as arrays (a JAX pytree), any length unit.

    Faces may have any number of corners; each undirected edge is listed once. Unused slots (see `stack`) are
    edges of length zero between face 0 and itself.

    edge_left, edge_right: the faces on either side, the left one running along the edge vector counter-clockwise as
    seen from outside; face_density: what each face's surface adds to the density of all that it encloses, None: 1, and
    volume and moments are weighted with it; face_moment: second moment of area about the face's centroid; moment2 and
    moment3: volume moments about the centroid; radius: largest distance of an edge midpoint from the centroid.
    """

    edge_midpoint: Float[Array, "*bodies edges 3"]
    edge_vector: Float[Array, "*bodies edges 3"]
    edge_left: Int[Array, "*bodies edges"]
    edge_right: Int[Array, "*bodies edges"]
    face_normal: Float[Array, "*bodies faces 3"]
    face_centroid: Float[Array, "*bodies faces 3"]
    face_area: Float[Array, "*bodies faces"]
    face_radius: Float[Array, "*bodies faces"]
    face_moment: Float[Array, "*bodies faces 3 3"]
    centroid: Float[Array, "*bodies 3"]
    volume: Float[Array, "*bodies"]
    moment2: Float[Array, "*bodies 3 3"]
    moment3: Float[Array, "*bodies 3 3 3"]
    radius: Float[Array, "*bodies"]
    face_density: Float[Array, "*bodies faces"] | None = None


def polyhedron(
    vertices: Float[Array, "corners 3"] | Float[np.ndarray, "corners 3"],
    edges: Int[np.ndarray, "edges 2"],
    left: Int[np.ndarray, " edges"],
    right: Int[np.ndarray, " edges"],
    density: Float[np.ndarray, " faces"] | None = None,
) -> Polyhedron:
    """Moments and edge geometry from corners and topology; differentiable with respect to `vertices`.

    edges, left, right, density: the two ends of each edge, the faces beside it, and what those add to the density of
    what they enclose (see `FlatFaces`).
    """
    vertices = jnp.asarray(vertices)
    n_faces = int(max(left.max(), right.max())) + 1
    # Half-edges: every edge once along its left face and once, reversed, along its right face.
    face = np.concatenate([left, right])
    start = vertices[np.concatenate([edges[:, 0], edges[:, 1]])]
    end = vertices[np.concatenate([edges[:, 1], edges[:, 0]])]

    def per_face(x: Float[Array, "halves ..."]) -> Float[Array, "faces ..."]:
        return jax.ops.segment_sum(x, face, n_faces)

    corner_mean = per_face(start) / per_face(jnp.ones_like(start))
    apex = corner_mean[face]
    vector_area = 0.5 * jnp.cross(start - apex, end - apex)
    face_vector_area = per_face(vector_area)
    face_area = cast(Array, jnp.linalg.norm(face_vector_area, axis=-1))
    normal = face_vector_area / face_area[:, None]
    triangle_area = jnp.sum(vector_area * normal[face], -1)
    face_centroid = per_face(triangle_area[:, None] * (apex + start + end) / 3) / face_area[:, None]
    corners = jnp.stack([apex, start, end], 1) - face_centroid[face][:, None]
    face_moment = per_face(triangle_area[:, None, None] * _simplex_moment2(corners))
    face_radius = jnp.sqrt(jax.ops.segment_max(jnp.sum((start - face_centroid[face]) ** 2, -1), face, n_faces))

    origin = jnp.mean(vertices, 0)
    tetrahedron = jnp.stack([jnp.zeros_like(apex), apex - origin, start - origin, end - origin], 1)
    tetrahedron_volume = jnp.sum(tetrahedron[:, 1] * vector_area, -1) / 3
    if density is not None:
        tetrahedron_volume = tetrahedron_volume * density[face]
    volume = tetrahedron_volume.sum()
    centroid = jnp.sum(tetrahedron_volume[:, None] * tetrahedron.mean(1), 0) / volume
    tetrahedron = tetrahedron - centroid
    centroid = centroid + origin
    midpoint = (vertices[edges[:, 0]] + vertices[edges[:, 1]]) / 2
    return Polyhedron(
        edge_midpoint=midpoint,
        edge_vector=vertices[edges[:, 1]] - vertices[edges[:, 0]],
        edge_left=jnp.asarray(left, jnp.int32),
        edge_right=jnp.asarray(right, jnp.int32),
        face_normal=normal,
        face_centroid=face_centroid,
        face_area=face_area,
        face_radius=face_radius,
        face_moment=face_moment,
        centroid=centroid,
        volume=volume,
        moment2=jnp.einsum("t,tij->ij", tetrahedron_volume, _simplex_moment2(tetrahedron)),
        moment3=jnp.einsum("t,tijk->ijk", tetrahedron_volume, _simplex_moment3(tetrahedron)),
        radius=jnp.sqrt(jnp.max(jnp.sum((midpoint - centroid) ** 2, -1))),
        face_density=None if density is None else jnp.asarray(density, face_area.dtype),
    )


def from_mesh(mesh: Mesh) -> Polyhedron:
    """The polyhedron of a mesh, coplanar triangles merged, in the default float type."""
    faces = mesh.merged_faces()
    edges, left, right = (np.asarray(array, np.int64).tobytes() for array in (faces.edges, faces.left, faces.right))
    density = None if faces.density is None else np.asarray(faces.density, float).tobytes()
    return _builder(edges, left, right, density)(np.asarray(mesh.vertices, float))


@lru_cache(maxsize=64)  # a process may meet thousands of random shapes
def _builder(
    edges: bytes, left: bytes, right: bytes, density: bytes | None
) -> Callable[[Float[np.ndarray, "corners 3"]], Polyhedron]:
    """`polyhedron` with these arrays, compiled once: most sources are of shapes that others were of before."""
    ends, first, second = (np.frombuffer(array, np.int64) for array in (edges, left, right))
    adds = None if density is None else np.frombuffer(density)

    def compute(vertices: Float[Array, "corners 3"] | Float[np.ndarray, "corners 3"]) -> Polyhedron:
        return polyhedron(vertices, ends.reshape(-1, 2), first, second, adds)

    # One compilation takes a third of the time of one for every operation; as it runs rarely, optimising is in vain.
    build = jax.jit(compute, compiler_options={"xla_backend_optimization_level": 0})
    return cast(Callable[[Float[np.ndarray, "corners 3"]], Polyhedron], build)


def stack(bodies: list[Polyhedron]) -> Polyhedron:
    """Several bodies as one pytree with a leading axis; edges and faces that one lacks are empty."""

    def together(*arrays: Array | np.ndarray) -> np.ndarray:
        # JAX would compile every operation for every number of edges.
        most = np.max([array.shape for array in arrays], 0).astype(int)  # of scalars it would be floats
        stacked = np.zeros((len(arrays), *most), arrays[0].dtype)
        for number, array in enumerate(arrays):
            stacked[(number, *map(slice, array.shape))] = array
        return stacked

    if any(body.face_density is not None for body in bodies):
        bodies = [
            body if body.face_density is not None else body._replace(face_density=np.ones_like(body.face_area))
            for body in bodies
        ]
    return jax.device_put(jax.tree.map(together, *bodies))


def form_factor(body: Polyhedron, q: Float[Array | np.ndarray, "*any 3"]) -> Complex[Array, "*any"]:
    """F(q) in the cube of the body's length unit; F(0) is the volume, or what `face_density` makes of it.

    q: in inverse length. Accurate relative to F(0): about 1e-5 in float32, 1e-9 in float64 (tests). Memory is
    bounded, that of gradients too: many q at a body of many edges are taken in turns.
    """
    shape, q = q.shape[:-1], q.reshape(-1, 3)
    count = len(q)
    blocks = -(-count * len(body.edge_left) // _MOST_TERMS)
    if blocks <= 1:
        return _edge_sums(body, q).reshape(shape)
    q = jnp.pad(q, ((0, -count % blocks), (0, 0))).reshape(blocks, -1, 3)
    # Checkpoint: a gradient computes each block anew, so that none keeps its terms for it.
    values = cast(Array, jax.lax.map(jax.checkpoint(partial(_edge_sums, body)), q))
    return values.reshape(-1)[:count].reshape(shape)


def _edge_sums(body: Polyhedron, q: Float[Array | np.ndarray, "N 3"]) -> Complex[Array, " N"]:
    """The same for all q at once."""
    double = q.dtype == jnp.float64
    # Below these the edge sums lose digits to cancellation, above them the series lack terms.
    body_series_below, face_series_below = (1e-2, 1e-3) if double else (0.2, 0.15)

    qx, qy, qz = q.T  # long axis last: vectorises

    def dot(v: Float[Array, "vectors 3"]) -> Float[Array, "vectors N"]:
        return v[:, :1] * qx + v[:, 1:2] * qy + v[:, 2:] * qz

    q2 = qx**2 + qy**2 + qz**2
    body_series = q2 * body.radius**2 < body_series_below**2
    safe_q2 = jnp.where(body_series, 1.0, q2)

    n = body.face_normal
    across = dot(n)
    # |n x q|^2 rather than q^2 - (n.q)^2: no cancellation where q is nearly normal to the face.
    in_plane2 = (
        (n[:, 1:2] * qz - n[:, 2:] * qy) ** 2
        + (n[:, 2:] * qx - n[:, :1] * qz) ** 2
        + (n[:, :1] * qy - n[:, 1:2] * qx) ** 2
    )
    face_series = in_plane2 * body.face_radius[:, None] ** 2 < face_series_below**2
    if body.face_density is not None:
        across = body.face_density[:, None] * across
    weight = jnp.where(face_series, 0.0, across / jnp.where(face_series, 1.0, in_plane2))

    outward_left = dot(jnp.cross(body.edge_vector, n[body.edge_left]))
    outward_right = dot(jnp.cross(body.edge_vector, n[body.edge_right]))
    coefficient = weight[body.edge_left] * outward_left - weight[body.edge_right] * outward_right
    half = 0.5 * dot(body.edge_vector)
    coefficient = -coefficient * _sinc(half)
    phase = dot(body.edge_midpoint - body.centroid)
    cosine, sine = cos_sin(phase)
    real, imag = _total(coefficient * cosine), -_total(coefficient * sine)

    moment = body.face_moment
    second = (
        moment[:, 0, :1] * qx**2
        + moment[:, 1, 1:2] * qy**2
        + moment[:, 2, 2:] * qz**2
        + 2 * (moment[:, 0, 1:2] * qx * qy + moment[:, 1, 2:] * qy * qz + moment[:, 0, 2:] * qx * qz)
    )
    face_value = jnp.where(face_series, across * (body.face_area[:, None] - 0.5 * second), 0.0)
    phase = dot(body.face_centroid - body.centroid)
    cosine, sine = cos_sin(phase)
    real, imag = real + _total(face_value * sine), imag + _total(face_value * cosine)

    small_real = body.volume - 0.5 * jnp.einsum("ni,ij,nj->n", q, body.moment2, q)
    small_imag = jnp.einsum("ni,nj,nk,ijk->n", q, q, q, body.moment3) / 6
    real = jnp.where(body_series, small_real, real / safe_q2)
    imag = jnp.where(body_series, small_imag, imag / safe_q2)
    shift = body.centroid[0] * qx + body.centroid[1] * qy + body.centroid[2] * qz
    cosine, sine = cos_sin(shift)
    return jax.lax.complex(real, imag) * jax.lax.complex(cosine, -sine)


def ellipsoid_form_factor(
    semi_axes: float | Float[Array, "*axes"] | Float[np.ndarray, "*axes"], q: Float[Array | np.ndarray, "*any 3"]
) -> Float[Array, "*any"]:
    """F(q), real, of an ellipsoid with its axes along x, y, z: 3 V (sin x - x cos x) / x^3.

    semi_axes: (3,) or scalar, a length; q: inverse length. Guinier 1939, Ann. Phys. 11, 161.
    """
    three = jnp.broadcast_to(semi_axes, (3,))
    return 4 / 3 * jnp.pi * jnp.prod(three) * ball_transform(jnp.sum((q * three) ** 2, -1))


@jax.custom_jvp
def _total(terms: Float[Array, "terms ..."]) -> Float[Array, "..."]:
    """Sum over the first axis.

    On the CPU, newer XLA (JAX 0.12) would hand the sum and the arithmetic before it to YNNPACK and write out, as
    large as the terms, whatever the two share, the polynomials' constants too: up to three times the memory and time.
    """
    if jax.default_backend() == "cpu":
        terms = jax.lax.optimization_barrier(terms)
    return terms.sum(0)


@_total.defjvp
def _total_jvp(terms: tuple[Array], slopes: tuple[Array]) -> tuple[Array, Array]:
    # Without the barrier, through which gradients would write out their broadcasts.
    return _total(*terms), slopes[0].sum(0)


def _sinc(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    small = jnp.abs(x) < 1e-3
    return jnp.where(small, 1 - x * x / 6, cos_sin(x)[1] / jnp.where(small, 1.0, x))


def _simplex_moment2(corners: Float[Array, "simplices corners 3"]) -> Float[Array, "simplices 3 3"]:
    """Mean of r_i r_j over simplices."""
    d = corners.shape[1] - 1
    total = corners.sum(1)
    outer = jnp.einsum("sci,scj->sij", corners, corners) + jnp.einsum("si,sj->sij", total, total)
    return outer / ((d + 1) * (d + 2))


def _simplex_moment3(corners: Float[Array, "simplices corners 3"]) -> Float[Array, "simplices 3 3 3"]:
    """Mean of r_i r_j r_k over simplices."""
    d = corners.shape[1] - 1
    total = corners.sum(1)
    square = jnp.einsum("sci,scj->sij", corners, corners)
    outer = (
        jnp.einsum("si,sj,sk->sijk", total, total, total)
        + jnp.einsum("sij,sk->sijk", square, total)
        + jnp.einsum("sik,sj->sijk", square, total)
        + jnp.einsum("sjk,si->sijk", square, total)
        + 2 * jnp.einsum("sci,scj,sck->sijk", corners, corners, corners)
    )
    return outer / ((d + 1) * (d + 2) * (d + 3))
