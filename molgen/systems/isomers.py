"""Stereochemistry of an RDKit molecule: what its SMILES leaves open, and whether a structure has what it says."""

from typing import Any

import numpy as np

from molgen.arrays import FloatArray

_LISTED, _TRIED = 4, 256
_CHALCOGENS = {8, 16, 34}
_SMALLEST_WITH_TRANS = 8


def atom_names(molecule: Any) -> tuple[str, ...]:
    """PDB names, unique and at most four characters up to 999 atoms of an element: element and running number."""
    counts: dict[str, int] = {}
    names = []
    for atom in molecule.GetAtoms():
        symbol = atom.GetSymbol().upper()
        counts[symbol] = counts.get(symbol, 0) + 1
        names.append(f"{symbol}{counts[symbol]}")
    return tuple(names)


def open_isomers(molecule: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What ``molecule`` leaves undefined (``C2``, ``C3=C4``), and SMILES of up to four isomers it could be.

    Both are empty if it can be only one. Nitrogen that carries a lone pair or a hydrogen is not asked for, nor a
    phosphate's P, whose two bare oxygens only a drawing tells apart; and centres that geometry or symmetry decides
    (norbornane, adamantane) are not open.
    """
    from rdkit import Chem
    from rdkit.Chem import EnumerateStereoisomers

    enumeration: Any = EnumerateStereoisomers
    undefined = _undefined(molecule)
    if not undefined:
        return (), ()
    options = enumeration.StereoEnumerationOptions(
        onlyUnassigned=True, unique=True, tryEmbedding=True, maxIsomers=_TRIED, rand=_TRIED
    )
    found: dict[str, Any] = {}
    atoms = (index for kind, index in undefined if kind == "atom")
    formal = [index for index in atoms if _is_formal(molecule.GetAtomWithIdx(index))]
    for isomer in enumeration.EnumerateStereoisomers(molecule, options=options):
        for index in formal:
            isomer.GetAtomWithIdx(index).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        found.setdefault(Chem.MolToSmiles(isomer), isomer)
        if len(found) == _LISTED:
            break
    if len(found) < 2:
        return (), ()
    still = _undefined(next(iter(found.values())))
    return tuple(_label(molecule, item) for item in undefined if item not in still), tuple(found)


def trans_in_small_ring(smiles: str) -> bool:
    """Whether a SMILES that parses asks for a trans double bond in a ring of less than eight atoms.

    There RDKit drops the marks without a word, and a cis bond would be simulated instead.
    """
    from rdkit import Chem

    raw = Chem.MolFromSmiles(smiles, sanitize=False)
    Chem.SetBondStereoFromDirections(raw)
    rings = [set(ring) for ring in Chem.GetSSSR(raw) if len(ring) < _SMALLEST_WITH_TRANS]
    for bond in raw.GetBonds():
        ends = {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()}
        if bond.GetStereo() not in (Chem.BondStereo.STEREOCIS, Chem.BondStereo.STEREOTRANS):
            continue
        for ring in (ring for ring in rings if ends <= ring):
            outside = sum(index not in ring for index in bond.GetStereoAtoms())
            if (bond.GetStereo() == Chem.BondStereo.STEREOTRANS) == (outside % 2 == 0):
                return True
    return False


def stereo_of(structure: Any) -> dict[str, str]:
    """CIP labels that the conformer of ``structure`` (hydrogens explicit) has: ``{"C2": "S", "C3=C4": "E"}``."""
    from rdkit import Chem
    from rdkit.Chem import rdCIPLabeler

    assigned = Chem.Mol(structure)
    Chem.AssignStereochemistryFrom3D(assigned)
    rdCIPLabeler.AssignCIPLabels(assigned)
    labels = {}
    for kind, objects in (("atom", assigned.GetAtoms()), ("bond", assigned.GetBonds())):
        for item in objects:
            if item.HasProp("_CIPCode"):
                labels[_label(assigned, (kind, item.GetIdx()))] = item.GetProp("_CIPCode")
    return labels


def defined_stereo(molecule: Any) -> tuple[str, ...]:
    """Names of the centres and double bonds whose stereo ``molecule`` itself defines."""
    return tuple(_label(molecule, item) for item, defined in _potential(molecule) if defined)


def has_stereo_of(structure: Any, molecule: Any) -> bool:
    """Whether the conformer of ``structure`` has all stereo that ``molecule`` defines (the same atoms in both)."""
    from rdkit import Chem

    assigned = Chem.Mol(structure)
    Chem.AssignStereochemistryFrom3D(assigned)
    missing = _defined(molecule) - _defined(assigned)
    positions = structure.GetConformer().GetPositions()
    return all(_is_pyramid(positions, *item) for item in missing)


def _defined(molecule: Any) -> set[tuple[Any, int, Any, tuple[int, ...]]]:
    """Kind, index, sense and the neighbours it refers to, of every centre and bond whose stereo is defined."""
    from rdkit import Chem

    return {
        (item.type, item.centeredOn, item.descriptor, tuple(item.controllingAtoms))
        for item in Chem.FindPotentialStereo(molecule)
        if item.specified == Chem.StereoSpecified.Specified
    }


def _is_pyramid(positions: FloatArray, kind: Any, centre: int, sense: Any, neighbours: tuple[int, ...]) -> bool:
    """Whether three neighbours stand about ``centre`` in that sense: RDKit finds no stereo of N and P pyramids."""
    from rdkit import Chem

    if kind != Chem.StereoType.Atom_Tetrahedral or len(neighbours) != 3:
        return False
    volume = np.linalg.det(positions[list(neighbours)] - positions[centre])
    return bool((volume < 0.0) == (sense == Chem.StereoDescriptor.Tet_CW))


def _potential(molecule: Any) -> list[tuple[tuple[str, int], bool]]:
    """Every possible centre and stereo bond as (kind, index), and whether it is defined."""
    from rdkit import Chem

    kinds = {Chem.StereoType.Atom_Tetrahedral: "atom", Chem.StereoType.Bond_Double: "bond"}
    return [
        ((kinds[item.type], item.centeredOn), item.specified == Chem.StereoSpecified.Specified)
        for item in Chem.FindPotentialStereo(molecule)
        if item.type in kinds
    ]


def _undefined(molecule: Any) -> list[tuple[str, int]]:
    return [item for item, defined in _potential(molecule) if not defined]


def _is_formal(atom: Any) -> bool:
    """Whether the handedness of a possible centre is no property of the compound: N that inverts, P of a phosphate."""
    if atom.GetAtomicNum() == 7:
        return bool(atom.GetDegree() < 4 or atom.GetTotalNumHs(includeNeighbors=True) > 0)
    bare = [
        neighbour.GetAtomicNum()
        for neighbour in atom.GetNeighbors()
        if neighbour.GetDegree() == 1 and neighbour.GetTotalNumHs() == 0 and neighbour.GetAtomicNum() in _CHALCOGENS
    ]
    return len(bare) > len(set(bare))


def _label(molecule: Any, item: tuple[str, int]) -> str:
    names = atom_names(molecule)
    kind, index = item
    if kind == "atom":
        return names[index]
    bond = molecule.GetBondWithIdx(index)
    return f"{names[bond.GetBeginAtomIdx()]}={names[bond.GetEndAtomIdx()]}"
