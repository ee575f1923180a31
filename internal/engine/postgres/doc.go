// Package postgres is PostgreSQL as Postern deals with it: it connects, inspects a server into a catalog.Snapshot, compiles and
// applies the wall of a plan.Wanted, proves it (verify), and stands in for the system catalog that subjects see. It is the only user
// of pgx. It decides nothing about access: that is policy and plan. SQL that asks the server something stands in embedded files.
package postgres
