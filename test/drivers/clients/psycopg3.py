# The tour of README.md with psycopg 3. Connects with the PG* variables that libpq reads.
import psycopg


def show(name, rows):
    print(name + ": " + "; ".join("|".join("" if v is None else str(v) for v in r) for r in rows))


conn = psycopg.connect("", autocommit=True)
print("tls: " + ("yes" if conn.pgconn.ssl_in_use else "no"))
show("text", conn.execute("SELECT id, email, ssn, balance FROM customers ORDER BY id").fetchall())
binary = conn.cursor(binary=True)
show("binary", binary.execute("SELECT id, email, ssn, balance FROM customers ORDER BY id").fetchall())
show("date", binary.execute("SELECT dob FROM patients").fetchall())
rows = None
for i in [6, 1, 2, 6, 1, 2]:
    rows = conn.execute("SELECT id, email FROM customers WHERE id = %s", [i], prepare=True).fetchall()
show("prepared", rows)
try:
    with conn.transaction():
        conn.execute("SELECT get_customer_ssn(3)")
except psycopg.Error as e:
    print("refused: " + e.sqlstate)
show("after", conn.execute("SELECT count(*) FROM customers").fetchall())
with conn.cursor() as cur:
    with cur.copy("COPY customers (id, ssn) TO STDOUT") as copy:
        print("copy: " + "; ".join("|".join("" if v is None else v for v in r) for r in copy.rows()))
with conn.pipeline():
    a = conn.execute("SELECT max(id) FROM customers")
    b = conn.execute("SELECT min(email) FROM customers")
    show("pipeline", [a.fetchone() + b.fetchone()])
with conn.transaction():
    with conn.cursor(name="c") as cur:
        cur.itersize = 1
        cur.execute("SELECT id FROM customers ORDER BY id")
        show("cursor", cur.fetchall())
conn.close()
