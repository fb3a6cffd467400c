"""Which parcellation a session gets: one that is there, one to be made, or the embedded one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmb_bidsapp.anatomy.parcellation import Found
from cmb_bidsapp.anatomy.reuse import parcellations_in
from cmb_bidsapp.core.errors import DataError
from cmb_bidsapp.tools.freesurfer import ended_well, run_recon_all
from cmb_bidsapp.tools.synthseg import run_synthseg

#: ``--parcellation`` by whose outputs satisfy it.
KINDS = {
    "auto": ("FreeSurfer", "FastSurfer", "sMRIPrep", "SynthSeg"),
    "freesurfer": ("FreeSurfer", "FastSurfer", "sMRIPrep"),
    "synthseg": ("SynthSeg",),
    "atlas": (),
}


@dataclass(frozen=True)
class Backend:
    """What a person asks of the parcellation.

    Attributes
    ----------
    wanted
        ``auto``, ``freesurfer``, ``synthseg`` or ``atlas``.
    given
        Folders of other apps' outputs, best first.
    subjects_dir, synthseg_dir
        Where outputs of FreeSurfer and SynthSeg lie that are made here.
    licence_file
        FreeSurfer's licence.
    run, resume
        Whether recon-all may run at all, and go on with an unfinished subject.
    """

    wanted: str
    given: tuple[Path, ...]
    subjects_dir: Path
    synthseg_dir: Path
    licence_file: Path | None = None
    run: bool = True
    resume: bool = True

    def find(self, participant: str, session: str | None) -> Found | None:
        """Output that is there and of the wanted kind.

        Subjects that recon-all is to go on with do not count.
        """
        made = {"freesurfer": (self.subjects_dir,), "synthseg": (self.synthseg_dir,)}
        for folder in (*self.given, *made.get(self.wanted, ())):
            for found in parcellations_in(folder, participant, session):
                unfinished = folder == self.subjects_dir and self._is_to_go_on(found)
                if found.kind in KINDS[self.wanted] and not unfinished:
                    return found
        return None

    def _is_to_go_on(self, found: Found) -> bool:
        """Whether recon-all was cut off or failed in a subject, and is asked for.

        The areas of the cortex are there long before those of the white matter.
        """
        asked = self.wanted == "freesurfer" and self.run
        if not asked or found.kind != "FreeSurfer" or found.subject_dir is None:
            return False
        # Who copies the labels of a subject alone leaves the log out.
        log = found.subject_dir / "scripts" / "recon-all.log"
        return log.is_file() and not ended_well(found.subject_dir)

    def obtain(
        self,
        t1w: Path,
        participant: str,
        session: str | None,
        *,
        threads: int,
        device: str,
        step: Callable[[str], None],
    ) -> Found | None:
        """Output that is there, or made now; ``None`` where the embedded backend is to do it.

        Raises
        ------
        DataError
            There is none and recon-all may not run, or a program failed.
        CommandMissingError, LicenceError, TemporaryError
            See :mod:`cmb_bidsapp.tools.freesurfer`, :mod:`cmb_bidsapp.tools.synthseg`.
        """
        found = self.find(participant, session)
        if found is not None or self.wanted in ("auto", "atlas"):
            return found
        subject = f"sub-{participant}" + (f"_ses-{session}" if session else "")
        if self.wanted == "synthseg":
            step("SynthSeg")
            output = self.synthseg_dir / f"{subject}_desc-synthseg_dseg.nii.gz"
            run_synthseg(t1w, output, threads=threads, device=device)
        else:
            if not self.run:
                looked = ", ".join(dict.fromkeys(map(str, (*self.given, self.subjects_dir))))
                raise DataError(
                    f"no FreeSurfer output of {subject} in {looked}, and --fs-no-reconall; "
                    "name its folder with -d, or use --parcellation atlas"
                )
            step("FreeSurfer (recon-all)")
            run_recon_all(
                t1w,
                subject,
                self.subjects_dir,
                threads=threads,
                licence_file=self.licence_file,
                resume=self.resume,
            )
        return self.find(participant, session)
