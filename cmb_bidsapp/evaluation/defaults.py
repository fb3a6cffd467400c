"""Names and numbers that the command line shows; nothing is imported here."""

#: Rules, see :data:`cmb_bidsapp.evaluation.presets.PRESETS`.
PRESET_NAMES = ("paper", "valdo", "overlap")
#: Neighbours of a voxel, where a mask is taken apart into lesions.
CONNECTIVITY = 26
#: Marks and instances with a lower score count in the FROC only.
MIN_SCORE = 0.5
#: Probabilities of the FROC; most networks are very sure of what they mark.
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995)
#: Folder of an evaluation that is part of the group level.
GROUP_FOLDER = "group_evaluation"
