"""Clusters of a mesh see each other's pods: which end is whose, and what to say of namesakes."""

from collections.abc import Mapping, Sequence

from models.domain.policy import Direction
from service.simulation.ends import End


def own_direction(source: End, destination: End) -> Direction | None:
    """The direction that this cluster's policies decide alone; None where it is both, or neither."""
    if source.foreign == destination.foreign:
        return None
    return Direction.INGRESS if source.foreign else Direction.EGRESS


def mesh_notes(source: End, destination: End, called: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """
    What a reader must know where a name is not in one cluster only.

    ``called`` says what was seen from the source to the destination's namesakes, by their cluster.
    """
    notes = [
        f"what {verb} {end.title} is for the policies of cluster {end.mesh} to decide: these are of another"
        for verb, end in (("leaves", source), ("enters", destination))
        if end.foreign
    ]
    for end in (source, destination):
        name = "/".join(end.title.split("/")[-2:])
        for mesh in end.elsewhere:
            seen = called.get(mesh, ()) if end is destination else ()
            also = f"; observed to that one: {', '.join(seen)}" if seen else ""
            notes.append(f"{name} of cluster {mesh} is another workload ({mesh}/{name} asks about it){also}")
    return tuple(notes)
