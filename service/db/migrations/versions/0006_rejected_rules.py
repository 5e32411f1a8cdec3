"""What a rule said when it was decided on, for later versions do not carry a rejected one."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STANDINGS = sa.table(
    "rule_standings", sa.column("key"), sa.column("rule_id"), sa.column("body", sa.JSON(none_as_null=True))
)
_VERSIONS = sa.table(
    "proposal_versions",
    sa.column("key"),
    sa.column("version"),
    sa.column("body", sa.JSON()),
    sa.column("exported_body", sa.JSON()),
)
_PROPOSALS = sa.table("proposals", sa.column("key"), sa.column("approved_body", sa.JSON()))


def upgrade() -> None:
    """Apply; of rules that were decided on before, what the newest body says that still holds them."""
    with op.batch_alter_table("rule_standings") as batch_op:
        batch_op.add_column(sa.Column("body", sa.JSON(), nullable=True))
    connection = op.get_bind()
    for key, rule_id in connection.execute(sa.select(_STANDINGS.c.key, _STANDINGS.c.rule_id)).all():
        rule = next((one for one in _rules(connection, key) if one["id"] == rule_id), None)
        if rule is not None:
            mine = (_STANDINGS.c.key == key) & (_STANDINGS.c.rule_id == rule_id)
            connection.execute(_STANDINGS.update().where(mine).values(body=rule))


def _rules(connection: sa.Connection, key: str) -> Iterator[Mapping[str, Any]]:
    """Every rule that is kept of a proposal, newest version first."""
    versions = (
        sa.select(_VERSIONS.c.body, _VERSIONS.c.exported_body)
        .where(_VERSIONS.c.key == key)
        .order_by(_VERSIONS.c.version.desc())
    )
    approved = sa.select(_PROPOSALS.c.approved_body).where(_PROPOSALS.c.key == key)
    for query in (versions, approved):
        for row in connection.execute(query):
            for body in row:
                yield from (body or {}).get("rules", ())
