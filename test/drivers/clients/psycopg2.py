# The tour of README.md with psycopg2, which writes parameters into the text. Connects with the PG* variables that
# libpq reads.
import io
import sys

# This file bears the module's name.
sys.path.pop(0)
import psycopg2


def show(name, rows):
    print(name + ": " + "; ".join("|".join("" if v is None else str(v) for v in r) for r in rows))


conn = psycopg2.connect("")
conn.autocommit = True
cur = conn.cursor()


def query(sql, params=None):
    cur.execute(sql, params)
    return cur.fetchall()


print("tls: " + ("yes" if conn.info.ssl_in_use else "no"))
show("text", query("SELECT id, email, ssn, balance FROM customers ORDER BY id"))
show("date", query("SELECT dob FROM patients"))
cur.execute("PREPARE p (int) AS SELECT id, email FROM customers WHERE id = $1")
show("prepared", query("EXECUTE p (%s)", [2]))
conn.autocommit = False
try:
    cur.execute("SELECT get_customer_ssn(3)")
except psycopg2.Error as e:
    print("refused: " + e.pgcode)
conn.rollback()
conn.autocommit = True
show("after", query("SELECT count(*) FROM customers"))
out = io.StringIO()
cur.copy_expert("COPY customers (id, ssn) TO STDOUT WITH (NULL '')", out)
print("copy: " + "; ".join(out.getvalue().strip("\n").replace("\t", "|").split("\n")))
conn.autocommit = False
with conn.cursor(name="c") as named:
    named.itersize = 1
    named.execute("SELECT id FROM customers ORDER BY id")
    show("cursor", named.fetchall())
conn.commit()
conn.close()
