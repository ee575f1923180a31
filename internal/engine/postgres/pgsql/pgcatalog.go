package pgsql

import (
	"slices"
	"strings"
)

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

// The relations of the catalog that a subject may read (ENF-56). A word may carry the first major that has the relation, as in
// "pg_publication_namespace/15". The lists are allow-lists; the rest is refused.
const (
	// catalogShown show the system's own rows, and of the application's what the profile admits.
	catalogShown = `pg_aggregate pg_am pg_amproc pg_attrdef pg_attribute pg_class pg_constraint pg_conversion pg_database pg_depend
		pg_description pg_enum pg_index pg_indexes pg_inherits pg_language pg_matviews pg_namespace pg_operator pg_partitioned_table
		pg_proc pg_range pg_roles pg_sequence pg_settings pg_tables pg_tablespace pg_ts_parser pg_ts_template pg_type pg_user pg_views`
	// catalogEmpty have the right columns and no row: fixed queries of tools join them (ENF-92).
	catalogEmpty = `pg_auth_members pg_db_role_setting pg_default_acl pg_event_trigger pg_foreign_data_wrapper pg_foreign_server
		pg_foreign_table pg_group pg_init_privs pg_policies pg_policy pg_publication pg_publication_namespace/15 pg_publication_rel
		pg_publication_tables pg_rewrite pg_rules pg_seclabel pg_seclabels pg_sequences pg_shdescription pg_shseclabel pg_statio_all_tables pg_statistic_ext
		pg_transform pg_trigger`
	// catalogPlain hold the system's own definitions and nothing that an application puts data or rights into.
	catalogPlain = `pg_amop pg_cast pg_collation pg_extension pg_opclass pg_opfamily pg_timezone_abbrevs pg_timezone_names pg_ts_config
		pg_ts_config_map pg_ts_dict`
	// schemaShown are the views of information_schema that show what the profile admits.
	schemaShown = `columns constraint_column_usage constraint_table_usage key_column_usage referential_constraints schemata
		table_constraints tables views`
	// schemaEmpty are its other views: right columns, no row.
	schemaEmpty = `administrable_role_authorizations applicable_roles attributes check_constraint_routine_usage check_constraints
		column_column_usage column_domain_usage column_options column_privileges column_udt_usage data_type_privileges
		domain_constraints domain_udt_usage domains element_types enabled_roles foreign_data_wrapper_options foreign_data_wrappers
		foreign_server_options foreign_servers foreign_table_options foreign_tables parameters role_column_grants role_routine_grants
		role_table_grants role_udt_grants role_usage_grants routine_column_usage/14 routine_privileges routine_routine_usage/14
		routine_sequence_usage/14 routine_table_usage/14 routines sequences table_privileges transforms triggered_update_columns
		triggers udt_privileges usage_privileges user_defined_types user_mapping_options user_mappings view_column_usage
		view_routine_usage view_table_usage`
	// schemaPlain say nothing of the application.
	schemaPlain = `character_sets collation_character_set_applicability collations information_schema_catalog_name sql_features
		sql_implementation_info sql_parts sql_sizing`
)

// CatalogRelation says what to read instead of a relation of schema pg_catalog or information_schema on a server of the
// given major version. Reading is all that may be done with any of them.
func CatalogRelation(schema, name string, major int) (target Name, verdict CatalogVerdict) {
	switch schema {
	case "pg_catalog":
		if inList(catalogShown, name, major) || inList(catalogEmpty, name, major) {
			return Name{CatalogSchema, name}, CatalogRetarget
		}
		if inList(catalogPlain, name, major) {
			return Name{schema, name}, CatalogPass
		}
	case "information_schema":
		if inList(schemaShown, name, major) || inList(schemaEmpty, name, major) {
			return Name{CatalogSchema, schema + "." + name}, CatalogRetarget
		}
		if inList(schemaPlain, name, major) {
			return Name{schema, name}, CatalogPass
		}
	}
	return Name{}, CatalogRefuse
}

// CatalogRelations lists the relations that CatalogRelation retargets on a major version, sorted; empty tells those that never have a row.
func CatalogRelations(major int) (shown, empty []Name) {
	add := func(to *[]Name, schema, list string) {
		for _, word := range strings.Fields(list) {
			name, _, _ := strings.Cut(word, "/")
			if inList(list, name, major) {
				*to = append(*to, Name{schema, name})
			}
		}
	}
	add(&shown, "pg_catalog", catalogShown)
	add(&shown, "information_schema", schemaShown)
	add(&empty, "pg_catalog", catalogEmpty)
	add(&empty, "information_schema", schemaEmpty)
	return shown, empty
}

// catalogFunctionNames are the functions with a stand-in: the real ones answer for any object by its OID or name.
const catalogFunctionNames = `col_description current_setting format_type has_any_column_privilege has_column_privilege
	has_database_privilege has_schema_privilege has_sequence_privilege has_table_privilege has_tablespace_privilege has_type_privilege obj_description pg_get_constraintdef pg_get_function_arguments
	pg_get_function_identity_arguments pg_get_function_result pg_get_functiondef pg_get_indexdef pg_get_partkeydef pg_get_ruledef pg_get_serial_sequence
	pg_get_statisticsobjdef pg_get_statisticsobjdef_columns/14 pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_partition_ancestors
	pg_relation_is_publishable pg_table_is_visible pg_table_size pg_type_is_visible shobj_description to_regclass to_regtype`

// CatalogFunction returns the function of CatalogSchema to call instead of the pg_catalog function of that name. Its
// arguments and result are the same. ok is false when the function has no stand-in. The one function of information_schema
// that drivers call, _pg_expandarray, stands for itself.
func CatalogFunction(name string, major int) (target Name, ok bool) {
	if name == "_pg_expandarray" {
		return Name{"information_schema", name}, true
	}
	if inList(catalogFunctionNames, name, major) {
		return Name{CatalogSchema, name}, true
	}
	return Name{}, false
}

// CatalogFunctions lists the functions of CatalogSchema on a major version, sorted.
func CatalogFunctions(major int) []string {
	var out []string
	for _, word := range strings.Fields(catalogFunctionNames) {
		name, _, _ := strings.Cut(word, "/")
		if inList(catalogFunctionNames, name, major) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// inList looks a name up in a list of words, of which some carry the first major that has them.
func inList(list, name string, major int) bool {
	for _, word := range strings.Fields(list) {
		word, since, dated := strings.Cut(word, "/")
		if word == name {
			return name != "" && (!dated || major >= 10*int(since[0]-'0')+int(since[1]-'0'))
		}
	}
	return false
}
