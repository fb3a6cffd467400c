"""A page with the review controls, and a reader in front of it."""

from pathlib import Path

from jinja2 import ChoiceLoader, DictLoader, Environment, PackageLoader, StrictUndefined

from cmb_bidsapp.bids.tables import cell, write_table
from cmb_bidsapp.bids.typed import decode
from cmb_bidsapp.clinical.summary import summarize
from cmb_bidsapp.core.labels import MARS_FORM
from cmb_bidsapp.lesions.lesion import Lesion
from cmb_bidsapp.lesions.table import COLUMNS, fingerprint
from cmb_bidsapp.report.changes import ReportedChanges
from cmb_bidsapp.report.reading import candidates, page_data, session_data
from tests.group.readers import CANDIDATES, candidate

PAGE = """\
{% extends "base.html" %}
{% from "review.html" import review_bar, review_controls with context %}
{% block title %}{{ participant }}{% endblock %}
{% block body %}
{% for session in sessions %}
{% for row in rows %}
{% if row.status == "rejected" %}<details><summary>Rejected</summary>{% endif %}
<article class="card" data-session="{{ session }}" data-lesion="{{ row.lesion_id }}"
 data-x="{{ row.x }}" data-y="{{ row.y }}" data-z="{{ row.z }}">
<p>#{{ row.lesion_id }} <b data-verdict>{{ row.grade }}</b></p>
{{ review_controls(session, row) }}
</article>
{% if row.status == "rejected" %}</details>{% endif %}
{% endfor %}
{% endfor %}
<canvas width="20" height="20" tabindex="0"></canvas>
<script type="application/json" id="page-data">{{ data|tojson }}</script>
{{ review_bar(participant, sessions) }}
<script>
  const shown = [];
  document.addEventListener("cmb:show", (event) => shown.push(event.detail));
</script>
{% endblock %}
"""


def write_page(folder, *, participant="sub-01", sessions=("n/a",), table=CANDIDATES) -> Path:
    """A report of nothing but candidates."""
    environment = Environment(
        loader=ChoiceLoader([DictLoader({"page": PAGE}), PackageLoader("cmb_bidsapp.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [candidate(*one) for one in table]
    page = environment.get_template("page")
    path = folder / f"{participant}.html"
    path.write_text(
        page.render(
            participant=participant,
            sessions=sessions,
            rows=rows,
            version="1.2",
            data={"reading": told(sessions, table, outputs_of(folder, table))},
        ),
        encoding="utf-8",
    )
    return path


def outputs_of(folder, table) -> str:
    """Fingerprint of the lesion table of these candidates."""
    path = folder / "table.tsv"
    write_table(path, list(COLUMNS), [candidate(*one) for one in table])
    return fingerprint(path)


def told(sessions, table, outputs) -> dict:
    """What a page with these candidates is told for its counts."""
    lesions = [lesion_of(*one) for one in table]
    rejected = sum(not lesion.kept for lesion in lesions)
    own = session_data(candidates(lesions, lesions), rejected, summarize(lesions), outputs)
    changes = ReportedChanges(rows=(), tracks=(), order=(), known={}, notes=(), left_out=0)
    return page_data(dict.fromkeys(sessions, own), changes, {name: name for name in MARS_FORM}, {})


def lesion_of(*one) -> Lesion:
    """A candidate as the lesion table has it."""
    return decode(Lesion, {name: cell(value) for name, value in candidate(*one).items()})


class Reader:
    """Somebody who reads a page."""

    def __init__(self, page, name="AB", mode="Aided", exports=()):
        self.page = page
        # Whoever leaves with decisions that are not exported is asked; here the answer is yes.
        self.asked = []
        page.on("dialog", lambda dialog: (self.asked.append(dialog.type), dialog.accept()))
        if name is None:
            self.look()
        else:
            self.call(name, mode, exports)

    @property
    def start(self):
        """The dialog in which reading begins."""
        return self.page.locator("#review-start")

    @property
    def name(self):
        """Where the dialog asks for the name."""
        return self.start.get_by_role("textbox", name="Reader")

    def look(self):
        """Read nothing, look only."""
        self.start.get_by_role("button", name="Just looking").click()

    def call(self, name, mode="Aided", exports=()):
        """Say who reads, and how; who adjudicates gives the exports of the readers."""
        if not self.start.is_visible():
            self.page.locator(".review-who").click()
        self.name.fill(name)
        self.start.get_by_role("radio", name=mode).check()
        if exports:
            self.start.get_by_label("Exports").set_input_files(exports)
        self.start.get_by_role("button", name="Start", exact=True).click()
        if exports:
            self.page.locator("#review-start:not([open]), [role=alert]:not(:empty)").wait_for(
                state="attached"
            )

    @property
    def who(self):
        """Who reads, as the bar says."""
        return self.page.locator(".review-who").inner_text()

    def card(self, lesion, session="n/a"):
        """The card of a candidate."""
        return self.page.locator(f'.card[data-session="{session}"][data-lesion="{lesion}"]')

    def rate(self, lesion, word, session="n/a"):
        """Mark a candidate with the mouse."""
        self.card(lesion, session).get_by_role("radio", name=word).click()

    def note(self, lesion, text, session="n/a"):
        """Write a note on a candidate."""
        field = self.card(lesion, session).get_by_label("Note")
        field.fill(text)
        field.blur()

    def choice(self, place):
        """The decision that a card or an added lesion shows."""
        checked = place.locator("input:checked")
        return checked.get_attribute("value") if checked.count() else None

    def choices(self):
        """The decisions of all cards."""
        return [self.choice(card) for card in self.page.locator(".card").all()]

    def click_volume(self, x, y, z, session="n/a"):
        """Click into the volume: what the viewer tells the page."""
        self.page.evaluate(
            "detail => document.dispatchEvent(new CustomEvent('cmb:place', {detail}))",
            {"session": session, "x": x, "y": y, "z": z, "asked": True},
        )

    def press(self, *keys):
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, name):
        """Press a button of the bar."""
        self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def message(self):
        """What the bar says."""
        return self.page.locator(".review-message [role=status]").inner_text()

    @property
    def progress(self):
        """How far it is."""
        return self.page.locator(".review-count").inner_text()

    def export(self, folder) -> Path:
        """Export the ratings into a folder, under the name that the page gives."""
        with self.page.expect_download() as waiting:
            self.button("Export ratings")
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def read_in(self, path):
        """Go on from an earlier export."""
        self.page.get_by_label("Continue from an earlier export").set_input_files(path)
        self.page.wait_for_function(
            "() => document.querySelector('.review-file input').value === ''"
        )
