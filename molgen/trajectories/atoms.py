"""The atoms a trajectory file names, compared with those of the system: how many, which, and in which order."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from molgen.errors import InputError
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import Atom

_WATER = frozenset({"HOH", "WAT", "SOL", "TIP3", "TIP4", "TIP3P", "TP3", "SPC", "H2O", "DOD", "OPC"})
_WHOLE = "Give frames with every atom of the system, hydrogens included."


def atoms_of(topology: Any) -> tuple[Atom, ...]:
    """The atoms of an ``mdtraj.Topology``; an atom without an element has the symbol ``VS`` (virtual site)."""
    found = []
    for atom in topology.atoms:
        symbol = "VS" if atom.element is None else atom.element.symbol
        mass = 0.0 if atom.element is None else float(atom.element.mass)
        found.append(Atom(atom.name, symbol, atom.residue.name, atom.residue.index, mass))
    return tuple(found)


def check_count(
    n_atoms: int,
    system: System,
    source: str,
    atoms: Sequence[Atom] | None = None,
    selection: str | None = None,
) -> None:
    """``InputError`` unless there are as many atoms as the system has; says what the others are and how to strip them.

    ``atoms`` are those of the file (all of it) where it names them; ``selection`` is what picked ``n_atoms`` of them.
    """
    own = system.n_particles
    if n_atoms == own:
        return
    if selection is not None:
        message = f"The selection {selection!r} picks {n_atoms} atoms of {source}, {system.name} has {own}."
        raise InputError(message, _narrower(system, atoms))
    message = f"{source} has {n_atoms} atoms, {system.name} has {own}"
    if n_atoms > own:
        raise InputError(message + _surplus(system, n_atoms, atoms) + ".", _stripping(system, source, atoms))
    raise InputError(message + _lacking(system, atoms) + ".", _WHOLE)


def check_order(atoms: Sequence[Atom], system: MolecularSystem, source: str, topology: str | None = None) -> None:
    """``InputError`` at the first atom that is another one than the system's; as many atoms as the system has.

    Elements are compared everywhere, names only within residues that have the same names in both: other names are
    another program's convention. ``topology`` is the file that named the atoms, if it was not ``source`` itself.
    """
    ours = system.topology.atoms
    index = _first_difference(atoms, ours)
    if index is None:
        return
    found = f"atom {index} is {_word(atoms[index])}, not {_word(ours[index])}"
    message = f"{source} has its atoms in another order: {found}."
    raise InputError(message, _reordering(atoms, system, source, topology))


def _word(atom: Atom) -> str:
    return f"{atom.name} ({atom.element}) of {atom.residue_name} {atom.residue_index + 1}"


def _keys(atoms: Sequence[Atom]) -> list[tuple[int, str]]:
    """(residue, name) of each atom, residues numbered in the order in which they appear."""
    number: dict[int, int] = {}
    return [(number.setdefault(atom.residue_index, len(number)), atom.name) for atom in atoms]


def _first_difference(theirs: Sequence[Atom], ours: Sequence[Atom]) -> int | None:
    left, right = _keys(theirs), _keys(ours)
    names_left, names_right = _names(left), _names(right)
    alike = {number for number, names in names_right.items() if names_left.get(number) == names}
    everywhere = names_left == names_right
    for index, (mine, yours) in enumerate(zip(left, right, strict=True)):
        comparable = everywhere or (mine[0] == yours[0] and mine[0] in alike)
        if theirs[index].element != ours[index].element or (comparable and mine != yours):
            return index
    return None


def _names(keys: Sequence[tuple[int, str]]) -> dict[int, Counter[str]]:
    found: dict[int, Counter[str]] = {}
    for number, name in keys:
        found.setdefault(number, Counter())[name] += 1
    return found


def _reordering(atoms: Sequence[Atom], system: MolecularSystem, source: str, topology: str | None) -> str:
    section = system.definition.topology
    wanted = "topology.pdb" if section is None else section.file
    left, right = _keys(atoms), _keys(system.topology.atoms)
    unique = len(set(left)) == len(left) and len(set(right)) == len(right)
    if not unique or set(left) != set(right):
        return f"Reorder its atoms as in the topology of {system.name} ({wanted})."
    load = f"md.load({source!r})" if topology is None else f"md.load({source!r}, top={topology!r})"
    return (
        f"The names match, so mdtraj can reorder them ({wanted} is the topology of {system.name}): "
        f'python -c "import mdtraj as md; t = {load}; s = md.load({wanted!r}).top; '
        "i = {(a.residue.index, a.name): a.index for a in t.top.atoms}; "
        "md.Trajectory(t.xyz[:, [i[a.residue.index, a.name] for a in s.atoms]], s, t.time, "
        "t.unitcell_lengths, t.unitcell_angles).save('reordered.h5')\""
    )


def _surplus(system: System, n_atoms: int, atoms: Sequence[Atom] | None) -> str:
    """What the atoms beyond the system's are, as the end of a sentence."""
    if atoms is None:
        return f" ({n_atoms // system.n_particles} times as many)" if n_atoms % system.n_particles == 0 else ""
    waters = len({atom.residue_index for atom in atoms if atom.residue_name in _WATER})
    if waters:
        return f": it holds solvent ({waters} water molecules)"
    copies = len(_places(system, atoms))
    if copies > 1:
        return f": it holds {copies} copies of the molecule"
    extra = _unmatched(_keys(atoms), _keys(system.topology.atoms)) if isinstance(system, MolecularSystem) else None
    return f": {_word(atoms[extra])} is one it has too many" if extra is not None else ""


def _stripping(system: System, source: str, atoms: Sequence[Atom] | None) -> str:
    if atoms is None:
        return (
            'If it holds solvent or ions, give --topology with the PDB of all its atoms and --selection "protein" (or '
            f"another of mdtraj's selections), or strip it: python -c \"import mdtraj as md; t = md.load({source!r}, "
            "top='all.pdb'); t.atom_slice(t.top.select('protein')).save('stripped.h5')\""
        )
    places = _places(system, atoms)
    if places:
        return f'Pick the molecule with --selection "index {places[0]} to {places[0] + system.n_particles - 1}".'
    return "Pick the molecule's own atoms with --selection \"protein\" (or another of mdtraj's selections)."


def _narrower(system: System, atoms: Sequence[Atom] | None) -> str:
    places = [] if atoms is None else _places(system, atoms)
    if places:
        where = f'"index {places[0]} to {places[0] + system.n_particles - 1}"'
        copies = f" (the first of {len(places)} copies)" if len(places) > 1 else ""
        return f"Atoms of the molecule's elements in its order are at {where}{copies}."
    return "Change it until it picks the molecule's own atoms alone, hydrogens included."


def _places(system: System, atoms: Sequence[Atom]) -> list[int]:
    """First indices of runs of atoms with the system's elements in its order that do not overlap."""
    if not isinstance(system, MolecularSystem):
        return []
    ours = [atom.element for atom in system.topology.atoms]
    theirs = [atom.element for atom in atoms]
    found: list[int] = []
    for start in range(len(theirs) - len(ours) + 1):
        free = not found or start >= found[-1] + len(ours)
        if free and theirs[start] == ours[0] and theirs[start : start + len(ours)] == ours:
            found.append(start)
    return found


def _lacking(system: System, atoms: Sequence[Atom] | None) -> str:
    if atoms is None or not isinstance(system, MolecularSystem):
        return ""
    ours = system.topology.atoms
    if any(atom.element == "H" for atom in ours) and not any(atom.element == "H" for atom in atoms):
        return ": it holds no hydrogens"
    missing = _unmatched(_keys(ours), _keys(atoms))
    return "" if missing is None else f": {_word(ours[missing])} is missing"


def _unmatched(these: Sequence[tuple[int, str]], those: Sequence[tuple[int, str]]) -> int | None:
    """Index of the first of ``these`` that is not among ``those``."""
    known = set(those)
    return next((index for index, key in enumerate(these) if key not in known), None)
