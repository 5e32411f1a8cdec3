"""The posture that a run really took is on its record, in its proposals and on their pages."""

from dataclasses import replace

from service.commands.show import print_proposal
from service.proposals import repository, views
from service.proposals.repository import ProposalFilter
from service.runs.repository import list_runs
from service.web.pages import proposal_context
from service.web.render import render_page
from tests.unit.service.nights import night, observed, opened


def test_the_default_is_recorded_and_told_as_well(tmp_path, capsys):
    """Nobody has to know which defaults held that night."""
    with opened(observed(tmp_path)) as portolan:
        night(portolan, 10)
        strict = replace(portolan, settings=portolan.settings.model_copy(update={"posture": "strict"}))
        night(strict, 10, hours=1)
        with portolan.database.read() as session:
            runs = list_runs(session, kind="infer")
            assert [run.parameters["posture"] for run in runs] == ["strict", "balanced"]
            row = repository.list_proposals(session, ProposalFilter())[0]
            found = views.detail(session, row)
            page = render_page(proposal_context(session, row.key, None)).body.decode()
    assert found["posture"] == "strict"
    print_proposal(found, [], None)
    told = "strict: up to 8 pairs inside the cluster are opened to avoid one expected denial there"
    assert told in capsys.readouterr().out
    assert f"Posture {told}" in page
