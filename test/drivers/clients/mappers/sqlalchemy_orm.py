# What SQLAlchemy asks of a database: its reflection, and ORM queries with masked values. Connects with the PG* variables.
import os

import sqlalchemy as sa
from sqlalchemy import orm

url = sa.engine.URL.create(
    "postgresql+psycopg2", os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGHOST"], int(os.environ["PGPORT"]), os.environ["PGDATABASE"],
    query={"sslmode": "verify-full", "sslrootcert": os.environ["PGSSLROOTCERT"]})
engine = sa.create_engine(url)
i = sa.inspect(engine)
print("schemas: " + " ".join(i.get_schema_names()))
print("tables: " + " ".join(sorted(i.get_table_names())))
print("views: " + " ".join(sorted(i.get_view_names())))
print("columns: " + "; ".join("%s %s %s" % (c["name"], c["type"], c["nullable"]) for c in i.get_columns("customers")))
print("key: " + " ".join(i.get_pk_constraint("customers")["constrained_columns"]))
print("foreign: " + " ".join("%s->%s.%s" % (k["constrained_columns"][0], k["referred_table"], k["referred_columns"][0]) for k in i.get_foreign_keys("orders")))
print("indexes: " + " ".join(sorted(x["name"] for x in i.get_indexes("customers"))))
print("unique: " + " ".join(sorted(x["name"] for x in i.get_unique_constraints("customers"))))
print("checks: " + " ".join(sorted(x["name"] for x in i.get_check_constraints("customers"))))
print("comment: " + str(i.get_table_comment("customers")["text"]))
print("sequences: " + " ".join(i.get_sequence_names()))
print("enums: " + str(i.get_enums()))
meta = sa.MetaData()
meta.reflect(engine)
print("reflected: " + " ".join(sorted(meta.tables)))
Base = orm.declarative_base(metadata=meta)


class Customer(Base):
    __table__ = meta.tables["customers"]


class Order(Base):
    __table__ = meta.tables["orders"]


Customer.orders = orm.relationship(Order, primaryjoin=orm.foreign(Order.__table__.c.customer_id) == Customer.__table__.c.id, order_by=Order.__table__.c.id)
with orm.Session(engine) as s:
    for load in [orm.selectinload, orm.joinedload, orm.subqueryload]:
        found = s.execute(sa.select(Customer).options(load(Customer.orders)).order_by(Customer.id)).unique().scalars().all()
        print(load.__name__ + ": " + "; ".join("%d %s %s %s" % (c.id, c.email, c.ssn, [o.memo for o in c.orders]) for c in found))
        s.expunge_all()
    print("group: " + str(s.execute(sa.select(Customer.region, sa.func.count(), sa.func.sum(Customer.balance)).group_by(Customer.region)).all()))
    print("paged: " + str([c.id for c in s.execute(sa.select(Customer).where(Customer.name.ilike("%visible%")).order_by(Customer.id.desc()).limit(2).offset(1)).scalars()]))
    try:
        s.execute(sa.text("SELECT * FROM payroll"))
    except sa.exc.ProgrammingError as e:
        print("refused: " + e.orig.pgcode)
    s.rollback()
