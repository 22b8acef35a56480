"""A peptide as a user writes it: one-letter codes, ends, protonation, disulphides; every choice made is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from molgen.errors import InputError
from molgen.settings import nearest_hint

Termini = Literal["capped", "zwitterion"]

MAX_RESIDUES = 20
LETTERS = {
    "A": "ALA", "R": "ARG", "N": "ASN", "D": "ASP", "C": "CYS", "Q": "GLN", "E": "GLU", "G": "GLY", "H": "HIS",
    "I": "ILE", "L": "LEU", "K": "LYS", "M": "MET", "F": "PHE", "P": "PRO", "S": "SER", "T": "THR", "W": "TRP",
    "Y": "TYR", "V": "VAL",
}  # fmt: skip
"""One-letter codes of the 20 amino acids and their residue names."""

MODEL_PKA = {"ASP": 3.67, "GLU": 4.25, "HIS": 6.54, "CYS": 8.55, "TYR": 9.84, "LYS": 10.40}
"""pKa of side chains in alanine pentapeptides at 25 °C: R. L. Thurlkill et al., Protein Sci. 15, 1214 (2006),
doi:10.1110/ps.051840806. A model: neighbours and conformation shift the real values."""

N_TERMINUS_PKA, C_TERMINUS_PKA = 8.00, 3.67
"""Of the ends, from the same source."""

VARIANTS = {
    "ASP": ("ASP", "ASH"),
    "GLU": ("GLU", "GLH"),
    "HIS": ("HIE", "HID", "HIP"),
    "CYS": ("CYS", "CYM", "CYX"),
    "LYS": ("LYS", "LYN"),
}
"""The protonation variants of each residue that amber99sbildn has, the usual one first."""

_ONLY_INSIDE = ("ASH", "GLH", "LYN", "CYM")  # the force field has no terminal form of these
_BELOW = {"ASP": "ASH", "GLU": "GLH", "HIS": "HIP", "CYS": "CYS", "LYS": "LYS", "TYR": "TYR"}
_ABOVE = {"ASP": "ASP", "GLU": "GLU", "HIS": "HIE", "CYS": "CYM", "LYS": "LYN"}
_WORDS = {
    "ASP": "negative", "ASH": "neutral", "GLU": "negative", "GLH": "neutral", "CYS": "neutral", "CYM": "negative",
    "LYS": "positive", "LYN": "neutral", "TYR": "neutral", "HID": "neutral with its hydrogen on ND1",
    "HIE": "neutral with its hydrogen on NE2", "HIP": "positive with hydrogens on ND1 and NE2",
    "CYX": "in a disulphide",
}  # fmt: skip


@dataclass(frozen=True)
class PeptideSequence:
    """Residues by the force field's names (``HIE``, ``CYX`` ...), numbered from 1 in everything a user sees.

    ``disulphides`` are pairs of residue numbers. ``choices`` are the sentences that say what was chosen.
    """

    letters: str
    residues: tuple[str, ...]
    termini: Termini
    disulphides: tuple[tuple[int, int], ...]
    choices: tuple[str, ...]


def parse_sequence(
    text: str,
    *,
    termini: Termini = "capped",
    ph: float = 7.0,
    variants: Mapping[int, str] | None = None,
    disulphides: tuple[tuple[int, int], ...] = (),
) -> PeptideSequence:
    """The peptide that ``text`` (one-letter codes) and the options describe.

    ``variants`` maps residue numbers (from 1) to names in ``VARIANTS`` and goes before ``ph``. ``InputError`` for an
    unknown letter, a length outside 1 to 20, a variant or disulphide that does not fit its residue, and an end for
    which amber99sbildn has no template.
    """
    letters = text.strip().upper()
    names = _names(letters)
    wanted = dict(variants or {})
    pairs = _checked_disulphides(names, wanted, disulphides)
    bridged = {number for pair in pairs for number in pair}
    residues, choices = [], [_end_choice(termini, ph)]
    for number, name in enumerate(names, start=1):
        explicit = wanted.pop(number, None)
        if explicit is not None:
            residue = _checked_variant(name, number, explicit)
        elif number in bridged:
            residue = "CYX"
        else:
            residue = _at_ph(name, number, ph)
        residues.append(residue)
        choices += _choice(name, number, residue, ph, explicit=explicit is not None)
    if wanted:
        number = min(wanted)
        raise InputError(
            f"There is no residue {number} to be {wanted[number]}: the sequence has {len(names)}.",
            f"Number residues from 1 to {len(names)}, caps left out.",
        )
    choices += [f"Cysteines {i} and {j} form a disulphide." for i, j in pairs]
    result = PeptideSequence(letters, tuple(residues), termini, pairs, tuple(choices))
    _check_bridges(result)
    _check_ends(result)
    return result


def _names(letters: str) -> list[str]:
    if not letters:
        raise InputError("The sequence is empty.", f"Give 1 to {MAX_RESIDUES} one-letter codes, e.g. GTF.")
    for position, letter in enumerate(letters, start=1):
        if letter not in LETTERS:
            raise InputError(
                f"The letter {letter!r} at position {position} of the sequence is no amino acid.",
                f"Use the one-letter codes {''.join(sorted(LETTERS))}; give other molecules as --pdb or --smiles.",
            )
    if len(letters) > MAX_RESIDUES:
        raise InputError(
            f"The sequence has {len(letters)} residues, more than {MAX_RESIDUES}.",
            "An extended chain is no start for so long a peptide; give a structure with --pdb.",
        )
    return [LETTERS[letter] for letter in letters]


def _checked_variant(name: str, number: int, variant: str) -> str:
    known = VARIANTS.get(name, (name,))
    if variant.upper() in known:
        return variant.upper()
    hint = f"Residue {number} can only be {name}." if len(known) == 1 else nearest_hint(variant.upper(), known)
    raise InputError(f"Residue {number} is {name} and cannot be {variant}.", hint)


def _checked_disulphides(
    names: list[str], variants: Mapping[int, str], disulphides: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    seen: set[int] = set()
    for pair in disulphides:
        for number in pair:
            if not 1 <= number <= len(names) or names[number - 1] != "CYS":
                cysteines = ", ".join(str(k) for k, name in enumerate(names, start=1) if name == "CYS") or "none"
                raise InputError(
                    f"Residue {number} of the disulphide {pair[0]}-{pair[1]} is no cysteine.",
                    f"Cysteines of this sequence: {cysteines}.",
                )
            if number in seen:
                raise InputError(f"Cysteine {number} is in two disulphides.", "Give every cysteine once.")
            if variants.get(number, "CYX").upper() != "CYX":
                message = f"Cysteine {number} is in a disulphide and cannot be {variants[number]}."
                raise InputError(message, f"Leave out --variant {number} or that disulphide.")
            seen.add(number)
    return tuple(sorted((min(pair), max(pair)) for pair in disulphides))


def _at_ph(name: str, number: int, ph: float) -> str:
    if name not in MODEL_PKA:
        return name
    if ph < MODEL_PKA[name]:
        return _BELOW[name]
    if name == "TYR":
        raise InputError(
            f"Tyrosine {number} is deprotonated at pH {ph:g} (model pKa {MODEL_PKA[name]:g}), "
            "for which amber99sbildn has no template.",
            f"Give a --ph below {MODEL_PKA[name]:g}, or keep its hydrogen with --variant {number}=TYR.",
        )
    return _ABOVE[name]


def _choice(name: str, number: int, residue: str, ph: float, *, explicit: bool) -> list[str]:
    """A sentence for every residue that could have been otherwise; one in a disulphide is told with its partner."""
    if name not in MODEL_PKA or residue == "CYX":
        return []
    reason = "as asked for" if explicit else f"from its model pKa of {MODEL_PKA[name]:g} at pH {ph:g}"
    sentence = f"{name.capitalize()} {number} is {residue}: {_WORDS[residue]}, {reason}."
    if residue == "HIE" and not explicit:
        sentence += f" The other neutral form is --variant {number}=HID."
    return [sentence]


def _end_choice(termini: Termini, ph: float) -> str:
    if termini == "capped":
        return "The ends are capped: acetyl (ACE) and N-methyl amide (NME)."
    sentence = "The ends are charged: NH3+ and COO-."
    if not C_TERMINUS_PKA < ph < N_TERMINUS_PKA:
        sentence += f" At pH {ph:g} one of them would mostly be neutral; the force field has no neutral ends."
    return sentence


def _check_bridges(sequence: PeptideSequence) -> None:
    bridged = {number for pair in sequence.disulphides for number in pair}
    for number, residue in enumerate(sequence.residues, start=1):
        if residue == "CYX" and number not in bridged:
            raise InputError(f"Cysteine {number} is CYX but has no partner.", f"Add --disulphide {number}-<partner>.")


def _check_ends(sequence: PeptideSequence) -> None:
    if sequence.termini == "capped":
        return
    if len(sequence.residues) == 1:
        raise InputError(
            "amber99sbildn has no template for a single residue with two charged ends.",
            "Use --termini capped, or give the molecule as --smiles.",
        )
    for number in (1, len(sequence.residues)):
        residue = sequence.residues[number - 1]
        if residue in _ONLY_INSIDE:
            raise InputError(
                f"amber99sbildn has no template for {residue} at a charged end (residue {number}).",
                f"Use --termini capped, or another --ph or --variant for residue {number}.",
            )
