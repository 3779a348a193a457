"""The abdomen of the average patient: organs as chains of beads, and the Hounsfield units of tissues.

Body coordinates are millimeters: x to the patient's left, y to the back, z to the head; the origin is the middle of the
abdominal cavity at the level of the first lumbar disc. All sizes are adult sizes that we chose; no real image is used.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ATLAS", "FAR_MM", "GALLBLADDER", "TISSUES", "Structure"]

Chain = tuple[tuple[float, ...], ...]  # beads (x, y, z, radius) or (x, y, z, radius x, radius y, radius z)

FAR_MM = 999.0
GALLBLADDER = 4

# Hounsfield units in the portal venous phase: mean between patients, their deviation, deviation of the texture
TISSUES: dict[str, tuple[float, float, float]] = {
    "air": (-1000, 0, 0),
    "gas": (-960, 10, 8),
    "lung": (-850, 20, 35),
    "fat": (-102, 4, 9),
    "skin": (35, 10, 10),
    "muscle": (56, 5, 10),
    "bone": (520, 70, 90),
    "marrow": (230, 40, 60),
    "disc": (85, 8, 8),
    "heart": (145, 12, 12),
    "liver": (104, 9, 6),
    "spleen": (118, 8, 5),
    "cortex": (182, 10, 8),
    "medulla": (150, 10, 10),
    "gallbladder wall": (60, 8, 5),
    "bile": (8, 4, 3),
    "esophagus": (58, 8, 12),
    "stomach wall": (82, 8, 10),
    "stomach content": (40, 9, 16),
    "aorta": (166, 7, 3),
    "cava": (144, 6, 6),
    "portal": (158, 7, 4),
    "pancreas": (94, 7, 13),
    "adrenal": (78, 7, 6),
    "bowel wall": (92, 8, 8),
    "bowel content": (32, 12, 20),
    "stool": (10, 25, 70),
    "oral contrast": (230, 60, 30),
}


@dataclass(frozen=True)
class Structure:
    """One organ; later entries of the table cover earlier ones."""

    label: int  # BTCV's number, 0 for background
    layers: tuple[tuple[float, str], ...]  # depth under the surface in mm, tissue from there inwards
    chains: tuple[Chain, ...]
    fat_mm: float = 1.0  # thickness of the fat around it
    gas_mm: float = -FAR_MM  # gas in front of this y: it rises to the front of a patient who lies on the back
    ripple_mm: float = 0.8  # standard deviation of the bumps on its surface
    blend_mm: float = 0.0  # width of the rounded seam where its parts meet
    confined: bool = False  # ends at the abdominal wall and the diaphragm
    within: int | None = None  # painted only inside this label, and keeps it
    shift_mm: float = 2.0  # standard deviation of its position between patients
    size: tuple[float, float] = (0.95, 1.05)  # range of its radii between patients, relative


def _mirrored(*chains: Chain) -> tuple[Chain, ...]:
    """Return the chains and their mirror images on the patient's right."""
    return chains + tuple(tuple((-bead[0], *bead[1:]) for bead in chain) for chain in chains)


_MUSCLE, _VESSEL, _BONE = ((0.0, "muscle"),), ((0.0, "portal"),), ((0.0, "bone"), (3.0, "marrow"))
_COLON, _GUT = ((0.0, "bowel wall"), (3.0, "stool")), ((0.0, "bowel wall"), (2.5, "bowel content"))
_KIDNEY = ((0.0, "cortex"), (8.0, "medulla"))

COLON: tuple[Chain, ...] = (
    ((-92, 5, -165, 27), (-98, 22, -110, 24), (-92, 8, -62, 23)),
    ((-92, 2, -62, 21), (-60, -52, -72, 19), (0, -66, -88, 18), (62, -56, -55, 18), (102, 8, -8, 17)),
    (
        (102, 8, -8, 17),
        (108, 28, -60, 15),
        (104, 28, -130, 15),
        (88, 4, -190, 15),
        (20, 30, -250, 16),
        (0, 44, -290, 18),
    ),
)
VERTEBRAE: tuple[Chain, ...] = tuple(
    ((0, 50, middle - 10, 22, 16, 5), (0, 50, middle + 10, 22, 16, 5)) for middle in range(-289, 180, 34)
)
PROCESSES: tuple[Chain, ...] = tuple(
    part
    for middle in range(-289, 180, 34)
    for part in (
        ((0, 84, middle + 2, 3, 4, 11), (0, 104, middle - 8, 3, 6, 11)),
        *_mirrored(((15, 66, middle, 5, 6, 9), (8, 82, middle - 3, 6, 4, 10))),
        *_mirrored(((14, 76, middle, 6, 5, 5), (36, 78, middle, 5, 4, 5))),
    )
)
ADRENAL: tuple[Chain, ...] = (
    ((30, 16, 50, 4.5, 5, 12), (25, 35, 48, 3.6, 5, 13)),
    ((30, 16, 50, 4.5, 5, 12), (40, 35, 46, 3.6, 5, 12)),
)
RIGHT_ADRENAL: tuple[Chain, ...] = (
    ((-28, 30, 52, 4.2, 5, 13), (-31, 48, 52, 3.8, 6, 14)),
    ((-29, 32, 50, 4, 5, 11), (-41, 47, 48, 3.8, 5, 11)),
)

ATLAS: tuple[Structure, ...] = (
    Structure(0, _COLON, COLON, gas_mm=-52, ripple_mm=3, confined=True, shift_mm=5, size=(0.8, 1.15)),
    Structure(
        1, ((0, "spleen"),), (((88, 44, 64, 34, 42, 30), (103, 24, 20, 28, 42, 30)),),
        blend_mm=6, confined=True, shift_mm=3, size=(0.98, 1.1),
    ),
    Structure(
        6, ((0, "liver"),),
        (
            ((-76, 4, 48, 62, 74, 56), (-86, 6, -14, 44, 56, 46)),
            ((-66, -12, 52, 52, 56, 46), (-12, -44, 60, 46, 44, 38), (52, -56, 70, 34, 30, 20)),
        ),
        ripple_mm=1.2, blend_mm=12, confined=True, shift_mm=3, size=(0.97, 1.05),
    ),
    Structure(
        6, ((0, "portal"),),
        (
            ((-36, -14, 42, 7), (-70, 0, 48, 5), (-98, 18, 46, 3.5)), ((-70, 0, 48, 5), (-92, -30, 56, 3)),
            ((-36, -14, 42, 6), (-22, -46, 56, 4), (14, -58, 62, 3)), ((-24, 6, 92, 6), (-12, -38, 74, 4)),
            ((-24, 6, 92, 6), (-78, 22, 74, 5), (-112, 18, 56, 3)),
            ((-24, 6, 92, 6), (-48, -30, 72, 5), (-66, -58, 50, 3)),
        ),
        fat_mm=0, within=6,
    ),
    Structure(
        7, ((0, "stomach wall"), (4.5, "stomach content")),
        (
            ((50, 8, 80, 28, 25, 22), (64, -22, 50, 28, 28, 27), (64, -44, 14, 24, 24, 26)),
            ((66, -42, 14, 24, 25, 25), (34, -60, -14, 19, 17, 20), (-8, -52, -10, 15, 14, 16), (-26, -42, -4, 11)),
        ),
        fat_mm=2, gas_mm=-48, blend_mm=6, confined=True, shift_mm=4, size=(0.9, 1.12),
    ),
    Structure(0, ((0, "muscle"), (7, "heart")), (((18, -32, 142, 58, 46, 42),),), fat_mm=7, shift_mm=4),
    Structure(0, _MUSCLE, _mirrored(((9, 30, -15, 7), (11, 30, 30, 8, 9, 9), (15, 26, 80, 7, 12, 9)))),
    Structure(
        0, _MUSCLE,
        _mirrored(
            ((26, 50, 22, 7, 9, 8), (38, 50, -50, 16, 18, 20), (50, 40, -130, 24, 22, 20), (64, 8, -290, 24, 22, 20)),
            ((62, 72, 20, 16, 6, 12), (76, 66, -100, 20, 9, 12)),
            ((32, 94, 200, 26, 15, 10), (36, 92, 0, 29, 20, 10), (32, 92, -310, 30, 20, 10)),
        ),
        fat_mm=2,
    ),
    Structure(0, ((0, "disc"),), (((0, 50, -310, 20, 15, 10), (0, 50, 180, 20, 15, 10)),), fat_mm=2, ripple_mm=0),
    Structure(0, _BONE, VERTEBRAE + PROCESSES, fat_mm=0, ripple_mm=0.4, shift_mm=0),
    Structure(0, ((0, "disc"),), (((0, 73, -310, 8, 6, 9), (0, 73, 180, 8, 6, 9)),), fat_mm=0, ripple_mm=0),
    Structure(
        0, _BONE,
        _mirrored(
            ((110, 8, -128, 9, 22, 12), (92, 40, -150, 10, 26, 14), (66, 68, -190, 14, 18, 30)),
            ((116, -14, -150, 8, 16, 14), (98, 6, -200, 9, 30, 20), (92, 20, -285, 12, 28, 20)),
        ),
        fat_mm=0, shift_mm=3,
    ),
    Structure(2, _KIDNEY, (((-58, 50, 6, 24, 24, 25), (-68, 42, -48, 25, 25, 26)),), 7, shift_mm=4, size=(0.98, 1.03)),
    Structure(3, _KIDNEY, (((56, 52, 20, 24, 24, 25), (68, 44, -34, 25, 25, 26)),), 6, shift_mm=4, size=(0.98, 1.03)),
    Structure(0, ((0, "fat"), (5, "medulla")), (((-44, 40, -26, 16, 9, 18), (-58, 44, -22, 7, 7, 16)),), 0),
    Structure(0, ((0, "fat"), (5, "medulla")), (((43, 42, -10, 16, 9, 18), (57, 46, -8, 7, 7, 16)),), 0),
    Structure(
        4, ((0, "gallbladder wall"), (1.5, "bile")), (((-40, -28, 22, 7), (-50, -40, 4, 13), (-57, -52, -16, 15.5)),),
        shift_mm=3, size=(0.92, 1.12), ripple_mm=0.5,
    ),
    Structure(
        0, _GUT, (((-26, -42, -4, 11), (-46, -14, -6, 12), (-46, 0, -45, 12), (-10, 4, -58, 10), (28, -6, -40, 11)),),
        gas_mm=-44, ripple_mm=1,
    ),
    Structure(
        11, ((0, "pancreas"),),
        (
            ((-30, -12, -16, 15, 13, 20), (-8, -20, 0, 11, 9.5, 14), (24, -20, 14, 11, 10, 14)),
            ((24, -20, 14, 11, 10, 14), (58, 0, 28, 12, 11, 14), (82, 16, 38, 9, 10, 12)),
        ),
        fat_mm=1.5, ripple_mm=1.6, blend_mm=3, size=(0.99, 1.09),
    ),
    Structure(
        9, ((0, "cava"),),
        (((-20, 28, -105, 10, 8, 9), (-23, 26, -20, 11, 9, 10), (-26, 20, 50, 12, 10, 10), (-20, 4, 108, 12, 11, 10)),),
        size=(0.9, 1.1),
    ),
    Structure(
        8, ((0, "aorta"),),
        (((6, 21, -98, 8.5), (9, 21, -20, 9.5), (10, 20, 40, 10.5), (14, 26, 85, 11), (18, 32, 200, 11.5)),),
        fat_mm=1.5, ripple_mm=0.3, size=(0.88, 1.12),
    ),
    Structure(
        0, ((0, "aorta"),),
        (((10, 14, 14, 4), (9, 2, 2, 3.6), (4, -10, -80, 3)), ((10, 12, 34, 4), (10, -2, 36, 3.4), (38, 4, 40, 2.6)),
         *_mirrored(((6, 21, -98, 6.5), (28, 26, -150, 6), (62, 8, -290, 5)))),
        ripple_mm=0.3,
    ),
    Structure(
        0, ((0, "cava"),),
        (((40, 36, -6, 5), (18, 12, 2, 4.5), (-18, 20, 0, 5)), ((-20, 24, -22, 5), (-46, 36, -24, 5)),
         *_mirrored(((19, 36, -150, 7), (62, 20, -290, 6))), ((-20, 28, -105, 8), (-19, 36, -150, 7)),
         ((-20, 28, -105, 8), (19, 36, -150, 7)), ((-9, -6, -4, 6), (-6, -12, -80, 4))),
        ripple_mm=0.3,
    ),
    Structure(
        10, _VESSEL,
        (
            ((-9, -6, -8, 6.8), (-16, -6, 12, 7.2), (-38, -14, 42, 7)),
            ((-10, -7, 2, 6), (24, -8, 14, 5.5), (82, 20, 38, 4.5)),
        ),
        fat_mm=0.8, ripple_mm=0.3,
    ),
    Structure(12, ((0, "adrenal"),), RIGHT_ADRENAL, fat_mm=2.5, ripple_mm=0.3),
    Structure(13, ((0, "adrenal"),), ADRENAL, fat_mm=2.5, ripple_mm=0.3),
    Structure(
        5, ((0, "esophagus"),), (((32, 6, 76, 9), (14, 8, 94, 9, 8, 8), (4, 14, 130, 9, 7, 8), (2, 16, 200, 9, 7, 8)),),
        fat_mm=1.5, ripple_mm=0.4, size=(0.92, 1.1),
    ),
)  # fmt: skip
