"""The API against its own OpenAPI document: whatever a client sends, the answer is as documented."""

import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.functional.conftest import serving

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
)
#: Per operation, of which there are some fifty: about a minute on two idle cores.
EXAMPLES = 8


@pytest.fixture(scope="module")
def document(learned, tmp_path_factory):
    """The document of a server on loopback, on a copy of the learned data."""
    folder = tmp_path_factory.mktemp("schema")
    shutil.copytree(learned, folder / "data")
    with serving(folder / "data", "--no-scheduler", cwd=folder) as client:
        yield schemathesis.openapi.from_url(f"{client.base_url}/api/v1/openapi.json")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_answer_is_as_documented(document):
    """No server error, no undocumented status, media type or shape, for any operation."""
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy())
        def holds(case):
            case.call_and_validate(checks=CHECKS, timeout=240)

        holds()
