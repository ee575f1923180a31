# What Django asks of a database: inspectdb, its introspection, and ORM queries. Connects with the PG* variables.
import io
import os

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"], "OPTIONS": {"sslmode": "verify-full", "sslrootcert": os.environ["PGSSLROOTCERT"]}}},
    INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.utils import ProgrammingError

out = io.StringIO()
call_command("inspectdb", stdout=out)
print("inspectdb: " + " ".join(sorted(line.split()[1].split("(")[0] for line in out.getvalue().splitlines() if line.startswith("class ") and "models.Model" in line)))
print("errors: " + " ".join(line for line in out.getvalue().splitlines() if "Unable" in line or "error" in line))
with connection.cursor() as c:
    print("tables: " + " ".join(sorted(t.name for t in connection.introspection.get_table_list(c))))
    print("constraints: " + " ".join(sorted(connection.introspection.get_constraints(c, "orders"))))
    print("relations: " + str(sorted(connection.introspection.get_relations(c, "orders").items())))
    print("sequences: " + str(connection.introspection.get_sequences(c, "orders")))


class Customer(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    email = models.TextField(null=True)
    ssn = models.TextField(null=True)
    region = models.TextField(null=True)
    balance = models.DecimalField(max_digits=12, decimal_places=2, null=True)

    class Meta:
        app_label, managed, db_table = "contenttypes", False, "customers"


class Order(models.Model):
    id = models.IntegerField(primary_key=True)
    customer = models.ForeignKey(Customer, models.DO_NOTHING, related_name="orders")
    total = models.DecimalField(max_digits=12, decimal_places=2)
    memo = models.TextField(null=True)

    class Meta:
        app_label, managed, db_table = "contenttypes", False, "orders"


print("objects: " + "; ".join("%d %s %s" % (c.id, c.email, c.ssn) for c in Customer.objects.order_by("id")))
print("related: " + "; ".join("%d %s %s" % (o.id, o.customer.email, o.memo) for o in Order.objects.select_related("customer").order_by("id")))
print("prefetched: " + "; ".join("%d %s" % (c.id, [o.id for o in c.orders.all()]) for c in Customer.objects.prefetch_related("orders").order_by("id")))
print("annotated: " + "; ".join("%d %s" % (c.id, c.n) for c in Customer.objects.annotate(n=models.Count("orders")).order_by("id")))
print("aggregate: " + str(sorted(Customer.objects.aggregate(models.Sum("balance"), models.Avg("balance"), models.Max("email")).items())))
print("exists: " + str(Customer.objects.filter(name__icontains="visible", orders__total__gt=5).exclude(email=None).exists()))
print("iterator: " + " ".join(str(c.id) for c in Customer.objects.order_by("id").iterator(chunk_size=2)))
try:
    with transaction.atomic(), connection.cursor() as c:
        c.execute("SELECT * FROM payroll")
except ProgrammingError as e:
    print("refused: " + e.__cause__.pgcode)
print("after: " + str(Customer.objects.count()))
