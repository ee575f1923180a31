package classify

import (
	"fmt"
	"strings"
	"testing"
)

// Names as people abbreviate them, without a single value: most must still be read.
const abbreviated = `
cust_dob:date pt_name:text prim_phone:text mobile_no:text e_mail:text ssn_last4:text dl_no:text ccn:text cvv_code:text
acctno:text iban_code:text ip_addr:text mac_addr:text geo_lat:numeric usr_agent:text nat_id:text pass_hash:text
api_token:text med_name:text dx_code:text blood_grp:text marital_stat:text relig:text ethnic_group:text emp_id:text
annual_sal:numeric place_of_birth:text zip4:text county:text licence_plate:text vin_no:text imei_no:text
passport_num:text next_of_kin:text gp_name:text nhs_no:text ni_no:text sortcode:text pps_number:text homeAddr:text
addr_line_2:text postcode_1:text mothersMaidenName:text secAnswer:text faceVec:text fpTemplate:bytea dnaSeq:text
sexOrient:text polParty:text tradeUnion:boolean convictions:text natlty:text primLang:text hh_income:numeric
acct_bal:numeric creditScore:int cardExp:text cardPan:text routingNo:text swiftCode:text btcWallet:text vatNo:text
companyRegNo:text custNo:text txnRef:text mrnNo:text allergyList:text rxNo:text admitDt:date disabilityFlag:boolean
insurancePolicyNo:text twitterHandle:text userName:text ageYrs:int profilePic:text signatureImg:bytea studentNo:text
badgeNo:text jobTtl:text sessKey:text dbConnStr:text totpSeed:text recoveryCd:text pinCode:text seedPhrase:text
sshPrivKey:text awsSecretKey:text bearerToken:text deviceId:text adId:text imsiNo:text iccidNo:text cellId:text
gpsTrack:text voicePrint:bytea hautfarbe:text kontoinhaber_name:text tel_privat:text tel_geschaeftlich:text
strasse_hausnr:text geb_ort:text steuernr:text krankenkassennr:text dt_nascimento:date nr_cpf:text nm_mae:text
ds_email:text tx_endereco:text cd_cep:text nu_telefone:text vl_salario:numeric apell1:text fec_nac:date num_tlf:text
dir_postal:text cp:text nom_usuel:text tel_dom:text mel:text num_ss:text nr_dowodu:text tel_kom:text kod_poczt:text
data_ur:date dogum_yeri:text tel_no:text ev_adresi:text
`

// Columns of ordinary schemas that hold nothing sensitive, without values.
const ordinary = `
products product_id:int category_name:text unit_price:numeric units_in_stock:int discontinued:boolean reorder_level:int name:text title:text model:text brand:text weight_kg:numeric length_cm:numeric position:int slug:text status:text description:text
orders order_id:int order_date:date required_date:date ship_via:int freight:numeric total:numeric tax:numeric vat:numeric vat_rate:numeric net_total:numeric gross_total:numeric currency_code:text payment_method:text reference:text channel:text
territories territory_id:text territory_description:text region_id:int
invoice_lines line_no:int sku:text qty:int amount:numeric brutto:numeric netto:numeric account_code:text cost_center:text
films title:text release_year:int rating:text length:int language_id:int original_language:text special_features:text fulltext:tsvector
jobs job_id:int name:text queue:text state:text priority:int attempts:int last_error:text payload:jsonb run_at:timestamptz handler:text
pages path:text url:text title:text body:text author_id:int published_at:timestamptz hits:int
config key:text value:text type:text description:text
metrics host:text metric:text value:numeric ts:timestamptz tags:jsonb unit:text
teams team_id:int name:text code:text founded:int stadium:text city:text
matches home_score:int away_score:int played_on:date season:text
tasks task_id:int title:text due_date:date priority:int estimate:numeric notes:text
votes option:text count:int percent:numeric
assets asset_tag:text purchase_date:date warranty_expiry:date vendor:text cost:numeric
logs level:text logger:text message:text trace_id:text span_id:text hostname:text pid:int
courses code:text credits:int instructor_id:int room:text capacity:int
flights origin:text destination:text departure:timestamptz gate:text aircraft:text tail_number:text
contracts start_date:date end_date:date value:numeric terms:text
stores name:text city:text state:text zip:text lat:numeric lon:numeric
`

func TestAbbreviatedNamesAreRead(t *testing.T) {
	c := newClassifier(t)
	var fields []field
	for _, x := range strings.Fields(abbreviated) {
		name, typ, _ := strings.Cut(x, ":")
		fields = append(fields, field{name, typ, nil})
	}
	out := judgeTable(c, "members", fields...)
	var missed []string
	for _, f := range fields {
		if out[f.name].Class == "" {
			missed = append(missed, f.name)
		}
	}
	if len(missed)*10 > len(fields) {
		t.Errorf("%d of %d are not read: %v", len(missed), len(fields), missed)
	}
}

func TestOrdinarySchemasStayQuiet(t *testing.T) {
	c := newClassifier(t)
	for _, line := range strings.Split(strings.TrimSpace(ordinary), "\n") {
		name, rest, _ := strings.Cut(line, " ")
		var fields []field
		for _, x := range strings.Fields(rest) {
			col, typ, _ := strings.Cut(x, ":")
			fields = append(fields, field{col, typ, nil})
		}
		for col, f := range judgeTable(c, name, fields...) {
			if f.Class != "" {
				t.Errorf("%s.%s is %s (%.2f)", name, col, f.Class, f.Confidence)
			}
		}
	}
}

// The name of a thing is nobody's name, first, last or whole, also where the table says what thing.
func TestNamesOfThings(t *testing.T) {
	t.Parallel()
	c := newClassifier(t)
	given := []string{"Anna", "Peter", "Maria", "Hans", "Lena", "Paul", "Clara", "Otto", "Emma", "Karl"}
	people := []field{{"email", "text", []string{"a1@haus.de", "b2@haus.de", "c3@haus.de", "d4@haus.de"}}, {"phone", "text", []string{"+49 40 1234567", "+49 40 2234567", "+49 40 3234567"}}}
	for _, at := range []struct {
		table, column string
		want          bool
	}{{"deployments", "release_name", false}, {"vessels", "vessel_name", false}, {"contacts", "contact_name", true}, {"contacts", "first_name", true}} {
		found := judgeTable(c, at.table, append([]field{{at.column, "text", given}}, people...)...)
		if f := found[at.column]; (f.Class.Group() == "person") != at.want {
			t.Errorf("%s.%s is %q", at.table, at.column, f.Class)
		}
	}
}

// Names and values that only look like somebody's, and beside each what is.
func TestWhatIsNobodys(t *testing.T) {
	t.Parallel()
	c := newClassifier(t)
	of := func(format string, from, step int) []string {
		var out []string
		for i := range 40 {
			out = append(out, fmt.Sprintf(format, from+i*step))
		}
		return out
	}
	mail := field{"email", "text", []string{"a1@haus.de", "b2@haus.de", "c3@haus.de", "d4@haus.de"}}
	given := []string{"Anna", "Peter", "Maria", "Hans", "Lena", "Paul", "Clara", "Otto", "Emma", "Karl"}
	for _, at := range []struct {
		table string
		field
		beside []field
		want   Class
	}{
		{"connectors", field{"pins", "int", of("%d", 2, 1)}, nil, ""},
		{"accounts", field{"pin", "int", of("%d", 1000, 83)}, []field{mail}, "secret.pin"},
		{"songs", field{"bpm", "int", of("%d", 60, 2)}, nil, ""},
		{"patient_obs", field{"bpm", "int", of("%d", 60, 2)}, nil, "health.vitals"},
		{"regions", field{"median_income", "int", of("%d", 20000, 500)}, nil, ""},
		{"applicants", field{"income", "int", of("%d", 20000, 500)}, []field{mail}, "fin.income"},
		{"settings", field{"api_key_prefix", "text", []string{"pk", "sk"}}, nil, ""},
		{"print_jobs", field{"printer", "text", given}, nil, ""},
		{"streetlights", field{"city", "text", []string{"Berlin", "Paris", "London", "Madrid", "Vienna"}}, nil, ""},
		{"customers", field{"city", "text", []string{"Berlin", "Paris", "London", "Madrid", "Vienna"}}, []field{mail}, "contact.city"},
	} {
		found := judgeTable(c, at.table, append([]field{at.field}, at.beside...)...)
		if f := found[at.name]; f.Class != at.want {
			t.Errorf("%s.%s is %q, want %q", at.table, at.name, f.Class, at.want)
		}
	}
}
