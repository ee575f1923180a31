package sqlgen

// Templates of expressions. {type} is an expression of that type, {any} one of any type, {whole} a whole row of something in
// FROM. The other placeholders are constants: {small} 0 to 9, {pos} 1 to 9, {word} a text, {re} a pattern, {like} a LIKE
// pattern, {field} and {unit} of a time, {fmt} of to_char, {key} of a JSON object, {path} a JSON path, {type} a type's name.

// ordinary are templates that fail on no value and give the same answer whenever they are asked.
func ordinary() map[Type][]string {
	return map[Type][]string{
		Text:      texts(),
		Int:       ints(),
		Bool:      bools(),
		Bigint:    {"({int})::bigint", "({bigint} % 1000 + {int})", "abs({bigint} % 99991)", "coalesce({bigint}, {small}::bigint)", "nullif({bigint}, {small})", "(SELECT count(*) FROM {from:int})"},
		Numeric:   {"({int})::numeric", "round({numeric}, {small})", "trunc({numeric}, 1)", "abs({numeric})", "({numeric} + {int})", "({numeric} * {small})", "({numeric} / nullif({small}, 0))", "ceil({numeric})", "floor({numeric})", "coalesce({numeric}, 0)", "nullif({numeric}, {small})", "sign({numeric})", "extract(epoch FROM {interval})::numeric", "greatest({numeric}, {int})", "mod({numeric}, 7)", "({numeric})::numeric(30,3)", "scale({numeric})::numeric"},
		Float:     {"({int})::float8", "sqrt(abs({float8}))", "({numeric})::float8", "floor({float8})", "coalesce({float8}, 1.5)", "degrees({float8} / 7)", "sin({float8})", "ln(abs({float8}) + 1)", "({float8} * 0.5)"},
		Date:      {"({date} + {small})", "({timestamp})::date", "date_trunc('month', {timestamp})::date", "make_date(2000 + {small}, {pos}, {pos})", "coalesce({date}, date '2024-01-01')", "greatest({date}, date '2000-01-01')", "nullif({date}, date '1999-12-31')", "(date '2020-01-01' + {small})"},
		Timestamp: {"({date})::timestamp", "({timestamp} + interval '1 day')", "date_trunc({unit}, {timestamp})", "({timestamptz} AT TIME ZONE 'UTC')", "coalesce({timestamp}, timestamp '2024-02-01')", "make_timestamp(2020, {pos}, {pos}, {small}, {small}, {small})"},
		Instant:   {"({timestamp} AT TIME ZONE 'Europe/Berlin')", "({timestamptz} - interval '1 hour')", "date_trunc({unit}, {timestamptz}, 'UTC')", "to_timestamp({small})", "coalesce({timestamptz}, timestamptz '2024-01-01 00:00+00')"},
		Interval:  {"age({timestamp}, {timestamp})", "({timestamp} - {timestamp})", "make_interval(days => {small}, hours => {small})", "justify_hours({interval})", "interval '3 days'", "({interval} * 2)"},
		UUID:      {"md5({text})::uuid", "coalesce({uuid}, '00000000-0000-0000-0000-00000000000a'::uuid)", "'00000000-0000-0000-0000-000000000001'::uuid"},
		Bytea:     {"convert_to({text}, 'UTF8')", "decode(md5({text}), 'hex')", "sha256({bytea})", "substring({bytea} FROM {pos} FOR {pos})", "({bytea} || {bytea})", "decode(encode({bytea}, 'base64'), 'base64')", "trim('\\x00'::bytea FROM {bytea})"},
		JSONB:     {"to_jsonb({any})", "to_jsonb({whole})", "jsonb_build_object('k', {any}, {word}, {any})", "jsonb_build_array({any}, {any})", "({jsonb} -> {key})", "({jsonb} || {jsonb})", "jsonb_strip_nulls({jsonb})", "jsonb_path_query_first({jsonb}, {path})", "jsonb_path_query_array({jsonb}, {path})", "({jsonb} #> '{tags,0}')", "row_to_json({whole})::jsonb", "coalesce({jsonb}, '{}'::jsonb)"},
		JSON:      {"to_json({any})", "row_to_json({whole})", "json_build_object('k', {any})", "json_build_array({any}, {any})", "array_to_json({text[]})", "({jsonb})::json", "json_strip_nulls(row_to_json({whole}))"},
		Ints:      {"ARRAY[{int}, {int}]", "array_append({int[]}, {int})", "({int[]} || {int})", "array_remove({int[]}, {small})", "coalesce({int[]}, '{1}'::int[])", "array_positions({text[]}, {text})", "({int[]})[1:2]", "array_cat({int[]}, {int[]})"},
		Texts:     {"ARRAY[{text}, {text}]", "string_to_array({text}, {word})", "regexp_split_to_array({text}, {re})", "regexp_match({text}, {re})", "array_append({text[]}, {text})", "array_replace({text[]}, {text}, {text})", "({text[]} || {text})", "({text[]})[1:2]", "array_prepend({text}, {text[]})", "tsvector_to_array(to_tsvector('simple', {text}))", "({int[]})::text[]"},
		Inet:      {"coalesce({inet}, '10.1.1.1'::inet)", "set_masklen({inet}, 24)", "network({inet})::inet", "broadcast({inet})"},
		Range:     {"int4range({small}, {small} + 9)", "({int4range} + int4range(NULL, NULL))", "({int4range} * int4range(1, 50))", "coalesce({int4range}, 'empty'::int4range)", "int4range({small}, 100, '[]')"},
	}
}

func texts() []string {
	return []string{
		"upper({text})", "lower({text})", "initcap({text})", "reverse({text})", "btrim({text})", "ltrim({text}, {word})", "substr({text}, {pos}, {pos})",
		"left({text}, {pos})", "right({text}, {pos})", "lpad({text}, 9, {word})", "rpad({text}, {pos})", "repeat({text}, 2)",
		"replace({text}, {word}, {text})", "translate({text}, 'aeiou', '12345')", "split_part({text}, {word}, {pos})", "md5({text})",
		"encode(convert_to({text}, 'UTF8'), 'hex')", "encode(convert_to({text}, 'UTF8'), 'base64')", "encode({bytea}, 'escape')", "encode({bytea}, 'hex')",
		"concat({text}, {int}, {date})", "concat_ws({word}, {text}, {any}, {text})", "format('%s-%L', {text}, {int})", "({text} || {text})", "({text} || {int})",
		"regexp_replace({text}, {re}, {word}, 'g')", "quote_literal({text})", "quote_nullable({text})", "to_char({date}, {fmt})", "to_char({numeric}, 'FM9999990.00')",
		"to_char({timestamptz}, {fmt})", "({any})::text", "cast({any} AS varchar(40))", "({text})::char(6)::text", "to_hex({int})", "overlay({text} PLACING {word} FROM {pos})",
		"trim(BOTH {word} FROM {text})", "substring({text} FROM {re})", "substring({text} FROM {pos} FOR {pos})", "({jsonb} ->> {key})", "jsonb_typeof({jsonb})",
		"array_to_string({text[]}, {word})", "array_to_string({int[]}, ',', '-')", "host({inet})", "({text})::varchar || ''", "{whole}::text", "upper({whole}::text)", "({text} COLLATE \"C\")",
		"({text[]})[{pos}]", "(regexp_match({text}, {re}))[1]", "(string_to_array({text}, {word}))[1]", "coalesce({text}, {word})", "nullif({text}, {word})",
		"CASE WHEN {bool} THEN {text} ELSE {text} END", "CASE {text} WHEN {text} THEN {word} ELSE {text} END", "greatest({text}, {text})", "least({text}, {word})",
		"(to_jsonb({whole}) ->> {key})", "pg_typeof({any})::text", "jsonb_pretty({jsonb})", "({jsonb} #>> '{tags,0}')", "encode(sha256({bytea}), 'hex')",
		"normalize({text})", "chr(65 + {small})", "(SELECT max({text}) FROM {from:text})", "(xpath('/a/text()', xmlelement(name a, {text})))[1]::text", "xmlforest({text} AS a)::text",
		"substring({text} SIMILAR '%#\"_+#\"%' ESCAPE '#')", "({int4range})::text", "convert_from(convert_to({text}, 'UTF8'), 'UTF8')", "to_tsvector('simple', {text})::text",
		"to_char({interval}, 'DD HH24')", "split_part({text}, '-', -1)", "row({any}, {any})::text", "({date})::text", "json_build_object('a', {any}) ->> 'a'",
	}
}

func ints() []string {
	return []string{
		"length({text})", "position({word} IN {text})", "strpos({text}, {word})", "ascii({text})", "abs({int} % 9973)", "mod({int}, 7)", "({int} % 1000 + {small})",
		"extract(year FROM {date})::int", "date_part('month', {timestamp})::int", "extract(day FROM {timestamptz})::int", "coalesce({int}, {small})", "nullif({int}, {small})",
		"array_length({text[]}, 1)", "cardinality({int[]})", "bit_length({text})", "octet_length({bytea})", "width_bucket({int}, 0, 100, 5)", "sign({int})::int", "({date} - {date})",
		"CASE WHEN {bool} THEN {int} ELSE {int} END", "greatest({int}, {small})", "least({int}, {int})", "({int[]})[{pos}]", "(SELECT count(*)::int FROM {from:int})",
		"(SELECT max({int}) FROM {from:int})", "({bool})::int", "array_position({text[]}, {text})", "lower({int4range})", "upper({int4range})", "masklen({inet})", "({int} & 255)", "({int} # 5)", "length({bytea})", "(- {small})",
	}
}

func bools() []string {
	return []string{
		"({text} = {text})", "({text} <> {word})", "({text} < {text})", "({text} LIKE {like})", "({text} ILIKE {like})", "({text} ~ {re})", "({text} ~* {re})", "({text} !~ {re})", "({text} NOT LIKE {like})",
		"({text} SIMILAR TO '%(a|b)%')", "({text} IN ({word}, {word}, {text}))", "({int} BETWEEN {small} AND {int})", "({any} IS NULL)", "({text} IS NOT NULL)", "({text} IS DISTINCT FROM {text})",
		"({int} > {int})", "({int} = {int})", "({int} <> {small})", "({numeric} >= {int})", "({date} < {date})", "({date} BETWEEN date '2000-01-01' AND {date})", "({text} = ANY ({text[]}))", "({int} <> ALL ({int[]}))",
		"EXISTS (SELECT 1 FROM {from:bool})", "({int} IN (SELECT {int} FROM {from:int}))", "({text} NOT IN (SELECT {text} FROM {from:text}))", "({jsonb} @> {jsonb})", "({jsonb} ? {key})", "({int4range} @> {int})", "({int4range} && {int4range})",
		"starts_with({text}, {word})", "({bool} AND {bool})", "({bool} OR {bool})", "(NOT {bool})", "({whole} IS NOT NULL)", "((row({text}, {int})) = row({text}, {int}))", "((row({int}, {text})) < row({int}, {text}))", "({inet} << '10.0.0.0/8'::inet)",
		"(to_tsvector('simple', {text}) @@ plainto_tsquery('simple', {word}))", "({uuid} = {uuid})", "(({date}, {date}) OVERLAPS ({date}, {date}))", "({bool} IS TRUE)", "({bool} IS NOT UNKNOWN)", "({text[]} && {text[]})", "({int[]} @> {int[]})", "({bytea} = {bytea})",
		"({text} > ANY (SELECT {text} FROM {from:text}))", "coalesce({bool}, false)", "(lower({text}) = {word})", "(jsonb_path_exists({jsonb}, {path}))", "({bigint} > {int})", "({float8} < {int})", "({interval} > interval '1 day')", "({numeric} IS NULL)",
	}
}

// failing are templates that fail on some values, or on all: an error is a way out like any other.
func failing() map[Type][]string {
	return map[Type][]string{
		Text:    {"({text})::json::text", "convert_from({bytea}, 'UTF8')", "decode({text}, 'hex')::text", "({text})::xml::text", "format({text})", "({text})::inet::text", "jsonb_array_element_text({jsonb}, 0)"},
		Int:     {"({text})::int", "(1 / ({int} - {small}))", "({text})::date - {date}", "({numeric} * 1000000000)::int", "jsonb_array_length({jsonb})", "to_number({text}, '999')::int", "({jsonb})::int", "(({int} + 2147483600))", "get_byte({bytea}, {small})"},
		Bool:    {"({text})::bool", "(({text})::int > 0)", "(1 / ({int} - {int}) > 0)", "(({text})::date < {date})", "(({text})::numeric > 1)", "(({text})::uuid = {uuid})", "({text} ~ {text})", "(({text})::float8 > 0)", "(({text})::inet = {inet})", "(({text})::jsonb ? 'a')", "(sqrt({float8}) > 1)", "(({text})::interval > {interval})", "(({text})::text[] && {text[]})", "(('1' || {text})::bigint > 0)", "(({text})::int4range @> 1)", "(({text})::timestamptz > {timestamptz})"},
		Date:    {"({text})::date", "to_date({text}, 'YYYY-MM-DD')", "make_date({int}, {int}, {int})"},
		Numeric: {"({text})::numeric", "(1 / {numeric})", "to_number({text}, '99D9')", "ln({numeric})"},
		Bigint:  {"({text})::bigint", "({bigint} * {bigint})"},
		UUID:    {"({text})::uuid"},
		JSONB:   {"({jsonb} - 'k')", "jsonb_set({jsonb}, '{a}', to_jsonb({text}))", "({text})::jsonb", "jsonb_object({text[]})"},
		Ints:    {"({text})::int[]"},
	}
}

// changing are templates whose answer differs from time to time.
func changing() map[Type][]string {
	return map[Type][]string{
		Text:    {"gen_random_uuid()::text", "clock_timestamp()::text", "current_user::text", "version()", "current_database()::text"},
		Int:     {"(random() * 100)::int"},
		Instant: {"now()", "statement_timestamp()"},
		Date:    {"current_date"},
	}
}
