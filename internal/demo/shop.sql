-- The sample shop. Run as the superuser of a private cluster, in the empty database "shop".
-- Everything is derived from the row number through hashes, so that two runs make the same rows.

CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_app LOGIN;      -- the application: what it may do must not change when Postern moves in
CREATE ROLE shop_report LOGIN;   -- a reporting job with read rights

GRANT USAGE, CREATE ON SCHEMA public TO shop_owner;
SET ROLE shop_owner;

CREATE TYPE public.plan AS ENUM ('basic', 'plus', 'gold');

CREATE TABLE public.customers (
    id         int PRIMARY KEY,
    name       text NOT NULL,
    email      text NOT NULL UNIQUE,
    phone      varchar(20),
    country    char(2) NOT NULL,
    region     text NOT NULL,
    birth_date date,
    plan       public.plan NOT NULL DEFAULT 'basic',
    balance    numeric(12,2) NOT NULL DEFAULT 0,
    notes      text,
    created_at timestamptz NOT NULL
);
CREATE INDEX customers_region ON public.customers (region);

CREATE TABLE public.assignments (
    agent       text NOT NULL,
    customer_id int NOT NULL REFERENCES public.customers (id),
    PRIMARY KEY (agent, customer_id)
);

CREATE TABLE public.products (
    id    int PRIMARY KEY,
    sku   text NOT NULL UNIQUE,
    title text NOT NULL,
    price numeric(10,2) NOT NULL
);

CREATE TABLE public.orders (
    id          int PRIMARY KEY,
    customer_id int NOT NULL REFERENCES public.customers (id),
    product_id  int NOT NULL REFERENCES public.products (id),
    quantity    int NOT NULL CHECK (quantity > 0),
    total       numeric(12,2) NOT NULL,
    status      text NOT NULL,
    ordered_at  timestamptz NOT NULL
);
CREATE INDEX orders_customer ON public.orders (customer_id);

CREATE TABLE public.payments (
    id          int PRIMARY KEY,
    order_id    int NOT NULL REFERENCES public.orders (id),
    card_number text NOT NULL,
    card_holder text NOT NULL,
    amount      numeric(12,2) NOT NULL,
    paid_at     timestamptz NOT NULL
);
CREATE INDEX payments_order ON public.payments (order_id);

CREATE TABLE public.payroll (
    id       int PRIMARY KEY,
    employee text NOT NULL,
    iban     text NOT NULL,
    salary   numeric(10,2) NOT NULL
);

RESET ROLE;

-- A Luhn check digit, so that the sample card numbers look like card numbers. Their prefix is one that payment providers hand
-- out for tests.
CREATE FUNCTION pg_temp.card(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT d || ((10 - sum(CASE WHEN i % 2 = 1 THEN CASE WHEN 2 * x > 9 THEN 2 * x - 9 ELSE 2 * x END ELSE x END) % 10) % 10)::text
    FROM (SELECT '400000' || lpad(n::text, 9, '0') AS d) s,
         LATERAL (SELECT i, substr(reverse(d), i, 1)::int AS x FROM generate_series(1, 15) i) digits
    GROUP BY d
$$;
-- An account number with ISO 7064 check digits, of a bank that there is not.
CREATE FUNCTION pg_temp.iban(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'DE' || lpad((98 - (b || '131400')::numeric % 97)::text, 2, '0') || b FROM (SELECT '00000000' || lpad(n::text, 10, '0') AS b) s
$$;
-- A number in [0, m) that depends on a word and a row only.
CREATE FUNCTION pg_temp.pick(word text, n bigint, m int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || substr(md5(word || n::text), 1, 7))::bit(28)::int % m)
$$;

INSERT INTO public.customers
SELECT n,
       given || ' ' || family,
       lower(given) || '.' || lower(family) || n || '@' || (ARRAY['mail.example','post.example','inbox.example'])[1 + pg_temp.pick('host', n, 3)],
       '+' || code || ' ' || lpad(pg_temp.pick('phone', n, 10000000)::text, 8, '5'),
       country, region,
       date '1950-01-01' + pg_temp.pick('birth', n, 20000),
       (ARRAY['basic','basic','basic','plus','gold'])[1 + pg_temp.pick('plan', n, 5)]::public.plan,
       pg_temp.pick('balance', n, 500000)::numeric / 100,
       CASE WHEN pg_temp.pick('note', n, 4) = 0 THEN 'prefers to be called in the ' || (ARRAY['morning','evening'])[1 + pg_temp.pick('when', n, 2)] END,
       timestamptz '2021-01-01 00:00+00' + make_interval(mins => pg_temp.pick('since', n, 2500000))
FROM (SELECT n,
             (ARRAY['Ada','Ben','Chloe','Diego','Elena','Farid','Greta','Hugo','Ines','Jonas','Keiko','Liam','Maya','Noor','Otto','Priya','Quentin','Rosa','Sven','Tara'])[1 + pg_temp.pick('given', n, 20)] AS given,
             (ARRAY['Almeida','Bauer','Costa','Dubois','Eriksen','Fischer','Garcia','Haddad','Ivanov','Jansen','Kowalski','Lindgren','Moreau','Nakamura','Okafor','Petrov','Quinn','Rossi','Santos','Tanaka'])[1 + pg_temp.pick('family', n, 20)] AS family,
             1 + pg_temp.pick('place', n, 8) AS place
      FROM generate_series(1, 12000) n) p,
     LATERAL (SELECT (ARRAY['DE','FR','ES','IT','US','US','JP','BR'])[place], (ARRAY['EU','EU','EU','EU','US','US','APAC','LATAM'])[place],
                     (ARRAY['49','33','34','39','1','1','81','55'])[place]) c (country, region, code);

INSERT INTO public.products
SELECT n, 'SKU-' || lpad(n::text, 4, '0'),
       (ARRAY['Desk','Lamp','Chair','Shelf','Rug','Clock','Vase','Mirror'])[1 + n % 8] || ' ' || (ARRAY['Oslo','Porto','Kyoto','Lima','Turin'])[1 + n % 5],
       (500 + pg_temp.pick('price', n, 40000))::numeric / 100
FROM generate_series(1, 200) n;

INSERT INTO public.orders
SELECT n, 1 + pg_temp.pick('customer', n, 12000), p.id, q, p.price * q,
       (ARRAY['paid','paid','paid','shipped','returned'])[1 + pg_temp.pick('status', n, 5)],
       timestamptz '2023-01-01 00:00+00' + make_interval(mins => pg_temp.pick('ordered', n, 1900000))
FROM (SELECT n, 1 + pg_temp.pick('product', n, 200) AS pid, 1 + pg_temp.pick('quantity', n, 4) AS q FROM generate_series(1, 45000) n) o
JOIN public.products p ON p.id = o.pid;

INSERT INTO public.payments
SELECT o.id, o.id, pg_temp.card(o.id), upper(c.name), o.total, o.ordered_at + interval '3 minutes'
FROM public.orders o JOIN public.customers c ON c.id = o.customer_id
WHERE o.status <> 'returned';

INSERT INTO public.payroll
SELECT n, 'Employee ' || n, pg_temp.iban(pg_temp.pick('iban', n, 90000000) + 10000000), 2400 + pg_temp.pick('salary', n, 5200)
FROM generate_series(1, 60) n;

INSERT INTO public.assignments
SELECT CASE WHEN n % 3 = 0 THEN 'sam' ELSE 'other_agent' END, n FROM generate_series(1, 90) n;

CREATE VIEW public.order_report AS SELECT o.id, c.email, o.total FROM public.orders o JOIN public.customers c ON c.id = o.customer_id;
ALTER VIEW public.order_report OWNER TO shop_owner;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.customers, public.assignments, public.products, public.orders, public.payments TO shop_app;
GRANT SELECT ON public.orders, public.products, public.order_report TO shop_report;
ANALYZE;
