-- A shop of which everything is made up: names from a list, numbers from the row's own.
CREATE ROLE shop_owner NOLOGIN;
GRANT USAGE, CREATE ON SCHEMA public TO shop_owner;
SET ROLE shop_owner;
CREATE TABLE public.customers (
    id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text, region text NOT NULL, birth_date date, balance numeric(12,2)
);
CREATE TABLE public.orders (id int PRIMARY KEY, customer_id int REFERENCES public.customers, total numeric(12,2), placed_at timestamptz NOT NULL);
CREATE TABLE public.payroll (employee text PRIMARY KEY, iban text NOT NULL, salary numeric(12,2) NOT NULL);
CREATE TABLE public.newsletter (id int PRIMARY KEY, reach text NOT NULL, opened boolean NOT NULL);
INSERT INTO public.customers SELECT i,
    (ARRAY['Ada','Ben','Cleo','Dan','Eva','Finn'])[1 + i % 6] || ' ' || (ARRAY['Marsh','Stone','Rivers','Hale'])[1 + i % 4],
    'customer' || i || '@mail.example', '+49 30 555' || lpad(i::text, 4, '0'), (ARRAY['EU','US'])[1 + i % 2], date '1960-01-01' + i * 31, i * 1.5
FROM generate_series(1, 200) i;
INSERT INTO public.orders SELECT i, 1 + i % 200, i, timestamptz '2026-01-01' + i * interval '1 hour' FROM generate_series(1, 500) i;
INSERT INTO public.payroll SELECT 'Employee ' || i, 'DE02120300000000202051', 3000 + i FROM generate_series(1, 20) i;
INSERT INTO public.newsletter SELECT i, 'reader' || i || '@post.example', i % 2 = 0 FROM generate_series(1, 300) i;
RESET ROLE;
