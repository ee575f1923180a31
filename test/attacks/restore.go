package attacks

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed state.sql
var stateSQL string

// Keeper remembers the state of the corpus' database and puts it back. It looks with a superuser's connection, so
// that it sees what a role under test changed about itself.
type Keeper struct {
	conn   *pgx.Conn
	before state
	saved  []string // tables in the order in which they can be filled
}

// state is what an attempt may change: the rows, what roles are and have set, which objects exist and with which
// rights.
type state struct{ rows, roles, settings, objects, rights string }

// NewKeeper takes the present state as the one to keep. The connection belongs to the caller.
func NewKeeper(ctx context.Context, conn *pgx.Conn) (*Keeper, error) {
	k := &Keeper{conn: conn, saved: []string{"customers", "assignments", "orders", "patients", "payroll", "events_eu", "events_us", "products"}}
	var copies []string
	for _, t := range k.saved {
		copies = append(copies, fmt.Sprintf("CREATE TEMP TABLE saved_%s AS TABLE public.%s", t, t))
	}
	copies = append(
		copies, "CREATE TEMP TABLE saved_settings AS TABLE pg_db_role_setting",
		"CREATE TEMP TABLE saved_objects AS SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_proc",
		"CREATE TEMP TABLE saved_roles AS SELECT oid, rolpassword FROM pg_authid",
	)
	if _, err := conn.Exec(ctx, strings.Join(copies, ";")); err != nil {
		return nil, fmt.Errorf("save the corpus' state: %w", err)
	}
	var err error
	k.before, err = k.look(ctx)
	return k, err
}

func (k *Keeper) look(ctx context.Context) (state, error) {
	var s state
	err := k.conn.QueryRow(ctx, stateSQL).Scan(&s.rows, &s.roles, &s.settings, &s.objects, &s.rights)
	return s, err
}

// Restore puts back what changed. Rights, policies and role attributes that changed are an error: no attempt of the
// corpus may get that far.
func (k *Keeper) Restore(ctx context.Context) error {
	now, err := k.look(ctx)
	if err != nil || now == k.before {
		return err
	}
	var sql []string
	if now.objects != k.before.objects {
		drops, err := k.newObjects(ctx)
		if err != nil {
			return err
		}
		sql = append(sql, drops...)
	}
	if now.rows != k.before.rows {
		sql = append(sql, "SET LOCAL session_replication_role = replica")
		for _, t := range k.saved {
			sql = append(sql, "DELETE FROM public."+t, fmt.Sprintf("INSERT INTO public.%s TABLE pg_temp.saved_%s", t, t))
		}
	}
	if now.roles != k.before.roles {
		sql = append(sql, "UPDATE pg_authid a SET rolpassword = s.rolpassword FROM pg_temp.saved_roles s WHERE s.oid = a.oid")
	}
	if now.settings != k.before.settings {
		sql = append(sql, "DELETE FROM pg_db_role_setting", "INSERT INTO pg_db_role_setting TABLE pg_temp.saved_settings")
	}
	if _, err := k.conn.Exec(ctx, strings.Join(sql, ";")); err != nil {
		return fmt.Errorf("restore the corpus' state: %w", err)
	}
	if now, err = k.look(ctx); err == nil && now != k.before {
		err = fmt.Errorf("an attempt changed what cannot be put back: %s", now.difference(k.before))
	}
	return err
}

// newObjects writes the DROP of each relation and routine that was not there.
func (k *Keeper) newObjects(ctx context.Context) ([]string, error) {
	rows, err := k.conn.Query(ctx, `
		SELECT format('DROP %s IF EXISTS %s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass)
		  FROM pg_class c WHERE relkind IN ('r','v','m','S','p') AND relpersistence <> 't' AND NOT EXISTS (SELECT 1 FROM pg_temp.saved_objects s WHERE s.oid = c.oid)
		UNION ALL SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
		  FROM pg_proc p WHERE NOT EXISTS (SELECT 1 FROM pg_temp.saved_objects s WHERE s.oid = p.oid)`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s state) difference(t state) string {
	var out []string
	for name, differs := range map[string]bool{
		"rows": s.rows != t.rows, "roles": s.roles != t.roles, "settings": s.settings != t.settings,
		"objects": s.objects != t.objects, "rights": s.rights != t.rights,
	} {
		if differs {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}
