"""Molecules of many kinds with frames of them, shared by the tests of coordinates and models."""

from functools import cache
from itertools import product

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import AllChem

from molgen.coordinates.chart import MolecularChart
from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.zmatrix import build_zmatrix
from molgen.systems.definition import SystemDefinition
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.systems.topology import Atom, MolecularTopology

SMILES = {
    "chiral": "[C@H](F)(Cl)Br",
    "propane": "CCC",
    "branch": "CC[C@H](C)O",
    "amine": "CCN(C)CC#N",
    "ammonium": "[NH3+]CC(=O)[O-]",
    "proline": "CC(=O)N1CCC[C@H]1C(=O)NC",
    "phenylalanine": "CC(=O)N[C@@H](Cc1ccccc1)C(=O)NC",
    "arginine side chain": "NC(=[NH2+])NCCC",
    "ibuprofen": "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "macrocycle": "C1CCCCCNC(=O)CCC1",
    "disulphide": "O=C1NCCSSCCNC(=O)C1",
    "norbornane": "C1C[C@H]2CC[C@@H]1C2",
    "biphenyl": "c1ccccc1-c1ccccc1",
    "nitrile": "CCC#N",
    "alkyne": "CC#CCC#N",
    "butyl ether": "CC(C)(C)OC",
    "betaine": "C[N+](C)(C)CC(=O)[O-]",
    "nitro": "FC(F)(F)c1ccc(cc1)[N+](=O)[O-]",
    "sulphoxide": "CC[S@](=O)C",
    "sulphonamide": "CS(=O)(=O)NC",
    "phosphate": "COP(=O)([O-])[O-]",
    "butene": "C/C=C\\CC",
}
FIXED = {"fixed bonds": "propane", "fixed serine": "branch"}
"""Molecules with their bonds to hydrogen held fixed, and the free molecules they are made of."""
NAMES = ["alanine-dipeptide", *SMILES, *FIXED]


def topology_of(elements: str, bonds: tuple[tuple[int, int], ...]) -> MolecularTopology:
    """A topology of one residue from element symbols and bonds."""
    symbols = elements.split()
    atoms = tuple(Atom(f"{symbol}{k}", symbol, "MOL", 0, 12.0) for k, symbol in enumerate(symbols))
    return MolecularTopology(atoms, tuple(sorted(bonds)))


def bare_system(topology: MolecularTopology, positions: np.ndarray, xml: str = "<System/>") -> MolecularSystem:
    """A system without any force, unless ``xml`` has some."""
    return MolecularSystem(SystemDefinition(name="bare"), topology, np.asarray(positions, dtype=np.float64), xml)


@cache
def alanine() -> MolecularSystem:
    """ALA2-B."""
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    return system


@cache
def system_of(name: str) -> MolecularSystem:
    """A molecule in ``NAMES``; double bonds and aromatic ones have a stiff torsion term, no other force is there."""
    if name == "alanine-dipeptide":
        return alanine()
    if name in FIXED:
        free = system_of(FIXED[name])
        terms = ""
        for i, j in free.topology.bonds:
            if "H" in (free.topology.atoms[i].element, free.topology.atoms[j].element):
                terms += f'<Constraint p1="{i}" p2="{j}" d="{np.linalg.norm(free.positions[i] - free.positions[j])}"/>'
        return bare_system(free.topology, free.positions, f"<System><Constraints>{terms}</Constraints></System>")
    molecule = Chem.AddHs(Chem.MolFromSmiles(SMILES[name]))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    AllChem.MMFFOptimizeMolecule(molecule)
    atoms = tuple(
        Atom(f"{a.GetSymbol()}{a.GetIdx()}", a.GetSymbol(), "MOL", 0, a.GetMass()) for a in molecule.GetAtoms()
    )
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    topology = MolecularTopology(atoms, tuple(sorted((min(e), max(e)) for e in ends)))
    neighbours = topology.neighbours()
    terms = ""
    for bond, (i, j) in zip(molecule.GetBonds(), ends, strict=True):
        if bond.GetBondTypeAsDouble() in (1.5, 2.0):
            for h in set(neighbours[i]) - {j}:
                for k in set(neighbours[j]) - {i}:
                    terms += f'<Torsion p1="{h}" p2="{i}" p3="{j}" p4="{k}" periodicity="2" phase="3.14159" k="30"/>'
    xml = f'<System><Forces><Force type="PeriodicTorsionForce">{terms}</Force></Forces></System>'
    return bare_system(topology, molecule.GetConformer().GetPositions() / 10.0, xml)


@cache
def internal_of(name: str) -> InternalCoordinates:
    """Internal coordinates of a molecule in ``NAMES``."""
    return InternalCoordinates(build_zmatrix(system_of(name)))


@cache
def chart_of(name: str) -> MolecularChart:
    """The chart of a molecule in ``NAMES``."""
    return MolecularChart(system_of(name))


def random_y(name: str, n: int, seed: int) -> torch.Tensor:
    """Internal coordinates (n, 3N - 6), float64: the structure's with noise, any value for free torsions.

    Folded phases stay well inside one interval, whichever: its edge is no place for a comparison.
    """
    internal = internal_of(name)
    rng = np.random.default_rng(seed)
    structure = torch.as_tensor(system_of(name).positions)[None]
    y = internal.from_positions(structure).expand(n, -1).clone().numpy()
    first = internal.n_bonds + internal.n_angles
    fixed = {internal.bond_column(i, j) for i, j, _ in system_of(name).constraints}
    loose = [k for k in range(internal.n_bonds) if k not in fixed]
    y[:, loose] *= rng.uniform(0.97, 1.03, (n, len(loose)))
    y[:, internal.n_bonds : first] += np.deg2rad(rng.uniform(-2.0, 2.0, (n, internal.n_angles)))
    y[:, first:] += np.deg2rad(rng.uniform(-3.0, 3.0, (n, internal.n_atoms - 3)))
    for leader in sorted(internal.zmatrix.free):
        rotor = internal.zmatrix.rotors.get(leader)
        order = 1 if rotor is None else rotor.order
        width = np.pi / order
        turn = rng.integers(order, size=n) * 2.0 * width
        y[:, internal.torsion_column(leader)] = turn + rng.uniform(-0.75 * width, 0.75 * width, n)
    return torch.as_tensor(y)


def frames_of(name: str, n: int, seed: int = 3) -> torch.Tensor:
    """Frames (n, N, 3), float64, in random orientations away from the origin."""
    rng = np.random.default_rng(seed + 1)
    rotations = torch.as_tensor(random_rotations(n, rng))
    shifts = torch.as_tensor(rng.normal(size=(n, 1, 3)))
    positions, _ = internal_of(name).to_positions(random_y(name, n, seed))
    return torch.einsum("nij,naj->nai", rotations, positions) + shifts


def random_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Proper rotations (n, 3, 3), uniform."""
    q, r = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    q = q * np.sign(np.einsum("nii->ni", r))[:, None, :]
    return np.asarray(q * np.linalg.det(q)[:, None, None])


def superposed_deviation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest displacement of any atom of frames (n, N, 3) after the best proper rotation (Kabsch)."""
    x, y = a.double().numpy(), b.double().numpy()
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("nai,naj->nij", x, y))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    return float(np.abs(x @ (u @ vt) - y).max())


def labellings(orders: list[int]) -> list[tuple[int, ...]]:
    """Every labelling of rotors of these orders, as shifts."""
    return list(product(*(range(order) for order in orders)))
