package pgsql

import "strings"

// The lists of this file are allow-lists: a function, aggregate or type that is not here is refused in filters and mask
// expressions. All of them are in pg_catalog of every major from 13, immutable or stable, run no SQL, read no table or setting that a
// session can change to widen a filter, and may be called by everyone (ENF-13).
var (
	filterFunctions  = filterWords(filterFunctionNames)
	filterAggregates = filterWords(`array_agg avg bit_and bit_or bool_and bool_or count every max min stddev string_agg sum`)
	filterTypes      = filterWords(filterTypeNames)
)

const filterFunctionNames = `
abs age array_append array_cat array_length array_lower array_ndims array_position array_positions array_prepend array_remove
array_replace array_to_string array_upper ascii bit_length btrim cardinality cbrt ceil ceiling char_length character_length chr
concat concat_ws convert_from convert_to date_part date_trunc daterange decode degrees div encode exp extract factorial family
floor format gcd get_bit get_byte host hostmask initcap int4range int8range is_normalized isempty isfinite
json_array_length json_extract_path json_extract_path_text json_typeof jsonb_array_length jsonb_build_array jsonb_build_object
jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_path_exists jsonb_path_match
jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lcm left length like_escape ln log log10 lower
lower_inc lower_inf lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz masklen md5 min_scale mod
netmask network normalize now num_nulls num_nonnulls numeric numrange octet_length overlaps overlay position pi power pg_typeof
quote_literal quote_nullable radians regexp_match regexp_replace regexp_split_to_array repeat replace reverse right round rpad
rtrim scale set_bit set_byte set_masklen sha224 sha256 sha384 sha512 sign similar_to_escape split_part sqrt starts_with
statement_timestamp string_to_array strpos substr substring text timestamptz timezone to_ascii to_char to_date to_hex to_json to_jsonb
to_number to_timestamp to_tsquery to_tsvector plainto_tsquery phraseto_tsquery websearch_to_tsquery transaction_timestamp translate trim_scale
trunc tsrange tstzrange unnest upper upper_inc upper_inf width_bucket
inet_same_family inet_merge abbrev broadcast`

const filterTypeNames = `
bit bool bpchar box bytea char cidr circle date daterange float4 float8 inet int2 int4 int4range int8 int8range interval json jsonb
jsonpath line lseg macaddr macaddr8 money name numeric numrange path point polygon text time timestamp timestamptz timetz tsquery
tsrange tstzrange tsvector uuid varbit varchar`

func filterWords(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(list) {
		out[w] = true
	}
	return out
}
