"""What calls the app: Boutiques, Slurm, Brainlife; its options as they see them."""

from cmb_bidsapp import __version__

#: The container image of this release, as the Dockerfile calls it.
IMAGE = f"cmb_bidsapp:{__version__}"
