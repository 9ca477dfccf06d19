"""What a lease costs does not grow with the questions that are there."""

from raters import comparisons, pseudonym

from accord.stores.database import sql
from accord.stores.people import People
from accord.stores.people.leases import TAKE


def test_a_lease_reads_no_whole_table(emptied_postgresql):
    """Kills: a NOT EXISTS that PostgreSQL may turn into a join, which then reads every slot."""
    asked = comparisons(300)
    take = "EXPLAIN " + TAKE.format(skip_locked=" FOR UPDATE OF s SKIP LOCKED")
    values = {"rater": pseudonym(1), "now": 1.8e9, "ttl": 600.0, "round": "main", "wanted": ""}
    with People.open(emptied_postgresql) as people:
        people.post(asked.questions, asked.records)
        with people._database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")
            plan = "\n".join(row[0] for row in connection.execute(sql(take), values))
    assert "SubPlan" in plan and "Join" not in plan
    assert "Seq Scan on slot" not in plan
