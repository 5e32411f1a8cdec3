"""What an export writes, apart from the newest evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; versions proposed before are exported with the evidence they have now."""
    with op.batch_alter_table("proposal_versions") as batch_op:
        batch_op.add_column(sa.Column("exported_body", sa.JSON(), nullable=True))
