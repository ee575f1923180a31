-- A world in which every hidden value is unmistakable. Run as superuser in an empty database; role app_owner exists.
--
-- [A], [N] and [Y] are replaced: the stem of hidden texts, of hidden numbers (seven digits) and of hidden years (six
-- digits). The twin world has other stems and is the same in everything that a subject may see, so that an answer
-- that differs between both tells of something hidden. Letters and digits that masks leave are the same in both.
GRANT CREATE, USAGE ON SCHEMA public TO app_owner;
CREATE SCHEMA sales AUTHORIZATION app_owner;
CREATE SCHEMA secret AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TYPE public.tier AS ENUM ('basic', 'silver', 'gold');
CREATE DOMAIN public.pin4 AS text NOT NULL CHECK (VALUE ~ '^[0-9]{4}$');
CREATE TYPE public.address AS (street text, zip text);
CREATE TABLE public.people (
  id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, ssn text, phone varchar(24), region text, balance numeric(14,2),
  score double precision, big bigint, hits int, born date, seen timestamptz, tags text[], nums int[], doc jsonb, raw bytea,
  addr inet, uid uuid, level public.tier, pin public.pin4, span int4range, code char(20), home public.address, notes text,
  active boolean, iban text, boss int REFERENCES public.people(id),
  email_domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);
CREATE INDEX people_region ON public.people(region);
CREATE INDEX people_ssn ON public.people(ssn);
CREATE TABLE public.assignments (agent text, person_id int REFERENCES public.people(id), PRIMARY KEY (agent, person_id));
CREATE TABLE public.orders (
  id int PRIMARY KEY, person_id int REFERENCES public.people(id), total numeric(14,2), memo text, lines jsonb,
  placed timestamp, qty int);
CREATE TABLE public.events (id int, region text, payload text, at date) PARTITION BY LIST (region);
CREATE TABLE public.events_eu PARTITION OF public.events FOR VALUES IN ('EU');
CREATE TABLE public.events_us PARTITION OF public.events FOR VALUES IN ('US');
CREATE TABLE sales.deals (id serial PRIMARY KEY, person_id int, title text, worth bigint, closed date);
CREATE TABLE public.products (id int PRIMARY KEY, sku text, price numeric(12,2), attrs jsonb);
CREATE TABLE public.payroll (id int PRIMARY KEY, employee text, salary int, paid date);
CREATE TABLE public.parent (id int, word text);
CREATE TABLE public.child (extra text) INHERITS (public.parent);
CREATE TABLE secret.vault (id int PRIMARY KEY, word text);

-- Rows 1, 2, 3 and 7 are EU; 2, 4 and 7 are sam's. In rows that somebody sees, the value of every column that is masked for them is a canary.
INSERT INTO public.people (id, name, email, ssn, phone, region, balance, score, big, hits, born, seen, tags, nums, doc, raw, addr, uid, level, pin, span, code, home, notes, active, iban, boss)
SELECT i, CASE WHEN vis THEN 'Person ' || i ELSE '[A]-NAME-' || i END,
  'X[A]-EML-' || i || '@ex.test', '[A]-SSN-' || i,
  CASE WHEN vis THEN '+33-' || i ELSE '[A]-PHONE-' || i END, reg,
  CASE WHEN vis THEN i * 10.5 ELSE [N]000 + i END, CASE WHEN vis THEN i * 1.25 ELSE [N]000.5 + i END,
  [N]00000000 + i, [N]00 + i,
  make_date(CASE WHEN vis THEN 1980 + i ELSE [Y] END, [M], [D]),
  CASE WHEN vis THEN timestamptz '2024-01-01 10:00+00' + i * interval '1 day' ELSE make_timestamptz([Y], 3, i, 1, 1, 1, 'UTC') END,
  CASE WHEN vis THEN ARRAY['red', 'tag' || i] ELSE ARRAY['[A]-TAG-' || i, 'blue'] END,
  ARRAY[[N]00 + i, [N]00 + i + 20],
  jsonb_build_object('name', '[A]-DOC-' || i, 'n', [N]00 + i, 'tags', jsonb_build_array('[A]-JS-' || i)),
  convert_to('[A]-RAW-' || i, 'UTF8'),
  CASE WHEN vis THEN ('10.0.0.' || i)::inet ELSE ('[I].' || i)::inet END,
  CASE WHEN vis THEN ('00000000-0000-0000-0000-00000000000' || i)::uuid ELSE ('[N]0-0000-0000-0000-[N]0000' || i)::uuid END,
  CASE WHEN vis THEN 'basic'::public.tier ELSE 'gold' END,
  CASE WHEN vis THEN '000' || i ELSE '[P]' || i END,
  CASE WHEN vis THEN int4range(i, i + 10) ELSE int4range([N]00 + i, [N]00 + i + 10) END,
  CASE WHEN vis THEN 'code' || i ELSE '[A]-CODE-' || i END,
  ROW('[A]-STREET-' || i, '[A]-ZIP-' || i)::public.address,
  CASE WHEN vis THEN 'visible note ' || i ELSE '[A]-NOTE-' || i END, vis,
  'KANARI-IBAN-' || i, NULL
FROM (SELECT i, (ARRAY['EU','EU','EU','US','US','APAC','EU','US','APAC'])[i] AS reg, i IN (1, 2, 3, 7) AS vis FROM generate_series(1, 9) i) g;
UPDATE public.people SET boss = 1 WHERE id IN (2, 3, 7);
UPDATE public.people SET boss = 5 WHERE id IN (4, 6);
INSERT INTO public.assignments VALUES ('sam', 2), ('sam', 4), ('sam', 7), ('uma', 2), ('uma', 4), ('zed', 1);
INSERT INTO public.orders SELECT i, CASE WHEN i % 2 = 1 THEN 1 + i / 10 % 3 ELSE 5 + i / 10 % 2 END, CASE WHEN i % 2 = 1 THEN i ELSE [N]000 + i END, '[A]-MEMO-' || i,
  CASE WHEN i % 2 = 1 THEN '{"sku": "sku-1", "n": 2}'::jsonb ELSE jsonb_build_object('sku', '[A]-LINE-' || i) END,
  CASE WHEN i % 2 = 1 THEN timestamp '2024-02-01' + i * interval '1 hour' ELSE make_timestamp([Y], 4, 1, 1, 1, 1) END,
  CASE WHEN i % 2 = 1 THEN i ELSE [N]00 + i END FROM generate_series(10, 40) i;
INSERT INTO public.events SELECT i, CASE WHEN i % 2 = 0 THEN 'EU' ELSE 'US' END, CASE WHEN i % 2 = 0 THEN 'visible event ' || i ELSE '[A]-EVT-' || i END,
  CASE WHEN i % 2 = 0 THEN date '2024-03-01' + i ELSE make_date([Y], 5, i) END FROM generate_series(1, 8) i;
INSERT INTO sales.deals (person_id, title, worth, closed) SELECT i, CASE WHEN i < 4 THEN 'deal ' || i ELSE '[A]-DEAL-' || i END, CASE WHEN i < 4 THEN i * 100 ELSE [N]0000000 + i END,
  CASE WHEN i < 4 THEN date '2024-04-01' + i ELSE make_date([Y], 6, i) END FROM generate_series(1, 6) i;
INSERT INTO public.products SELECT i, 'sku-' || i, i * 1.5, jsonb_build_object('color', 'c' || i, 'sizes', jsonb_build_array(i, i + 1)) FROM generate_series(1, 5) i;
INSERT INTO public.payroll SELECT i, '[A]-EMP-' || i, [N]00 + i, make_date([Y], 7, i) FROM generate_series(1, 4) i;
INSERT INTO public.parent VALUES (1, 'visible word'), (2, '[A]-WORD-2');
INSERT INTO public.child VALUES (1, 'visible child word', '[A]-EXTRA-1'), (4, '[A]-WORD-4', '[A]-EXTRA-4');
INSERT INTO secret.vault VALUES (1, '[A]-VAULT-1');

CREATE VIEW public.people_report AS SELECT id, name, email, ssn, balance FROM public.people;
CREATE MATERIALIZED VIEW public.people_mv AS SELECT id, name, email, ssn, hits FROM public.people;
CREATE FUNCTION public.ssn_of(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT ssn FROM public.people WHERE id = $1';
CREATE FUNCTION public.person_label(public.people) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.name || '' '' || coalesce($1.ssn, '''')';
CREATE FUNCTION public.vault_words() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT word FROM secret.vault';
CREATE PROCEDURE public.shout() LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN SELECT ssn INTO r FROM public.people WHERE id = 4; RAISE NOTICE '%', r; END $$;
CREATE FUNCTION public.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row % % %', OLD.ssn, OLD.hits, OLD.doc; RETURN NEW; END $$;
CREATE TRIGGER people_touched BEFORE UPDATE ON public.people FOR EACH ROW EXECUTE FUNCTION public.touched();
RESET ROLE;
SELECT lo_from_bytea(424242, '[A]-LO-1');
GRANT SELECT ON LARGE OBJECT 424242 TO PUBLIC;
