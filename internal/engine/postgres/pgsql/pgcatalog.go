package pgsql

// CatalogSchema is the schema of the views and functions that stand for the system catalog (ENF-92).
const CatalogSchema = "postern_catalog"

// CatalogVerdict says what the guard does with a relation of pg_catalog or information_schema.
type CatalogVerdict int

// The verdicts on catalog relations. CatalogRefuse is the zero value: what is not listed is refused (ENF-58).
const (
	CatalogRefuse   CatalogVerdict = iota
	CatalogRetarget                // read the target instead
	CatalogPass                    // harmless: read it where it is; target is the relation itself, schema-qualified
)

// CatalogRelation says what to read instead of a relation of schema pg_catalog or information_schema on a server of the
// given major version.
func CatalogRelation(schema, name string, major int) (target Name, verdict CatalogVerdict) {
	return Name{}, CatalogRefuse
}

// CatalogFunction returns the function of CatalogSchema to call instead of the pg_catalog function of that name. Its
// arguments and result are the same. ok is false when the function has no stand-in.
func CatalogFunction(name string, major int) (target Name, ok bool) {
	return Name{}, false
}
