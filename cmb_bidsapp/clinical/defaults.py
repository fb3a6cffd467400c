"""Defaults and words, free of heavy imports so that the command line can show them."""

#: More microbleeds than this at baseline usually exclude from anti-amyloid therapy
#: (Cummings et al. 2023, appropriate use recommendations for lecanemab).
BASELINE_LIMIT = 4

#: Stands wherever a clinical word does.
NOT_A_DIAGNOSIS = "imaging summary, not a diagnosis"
