package classify

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

func secretProbes(m *checkdigit.Mnemonics) []probe {
	return []probe{
		{class: "secret.api_key", how: byShape, p0: 0.0001, test: func(v *value) verdict { return shapeOnly(providerToken(v.raw)) }},
		{class: "secret.api_key", how: byWeak, limit: 3, named: true, test: randomToken},
		{class: "secret.aws_key", how: byShape, p0: 0.0001, test: func(v *value) verdict { return shapeOnly(awsKey(v.raw)) }},
		{class: "secret.aws_key", how: byShape, p0: 0.05, limit: 5, named: true, test: func(v *value) verdict {
			return shapeOnly(len(v.raw) == 40 && only(v.raw, base64Set) && entropy(v.raw) > 3.8)
		}},
		{class: "secret.jwt", how: byShape, p0: 0.0001, test: func(v *value) verdict { return shapeOnly(jwt(v.raw)) }},
		{class: "secret.private_key", how: byShape, p0: 0.0001, test: func(v *value) verdict { return shapeOnly(privateKey(v.raw)) }},
		{class: "secret.token", how: byWeak, limit: 3, test: randomToken},
		{class: "secret.token", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict { return shapeOnly(v.nSpace == 0 && inRange(v.runes, 4, 512) && v.nDigit > 0) }},
		{class: "secret.token", how: byWeak, fams: "u", test: func(*value) verdict { return passed }},
		{class: "secret.session", how: byWeak, limit: 3, test: func(v *value) verdict { return shapeOnly(v.nSpace == 0 && v.runes >= 16 && entropy(v.raw) >= 3) }},
		{class: "secret.session", how: byWeak, fams: "u", test: func(*value) verdict { return passed }},
		{class: "secret.connection_string", how: byShape, p0: 0.0005, test: func(v *value) verdict { return connection(v.raw) }},
		{class: "secret.totp", how: byWeak, limit: 3, test: func(v *value) verdict {
			s := strings.TrimRight(strings.ToUpper(strings.ReplaceAll(v.raw, " ", "")), "=")
			return shapeOnly(inRange(len(s), 16, 64) && only(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
		}},
		{class: "secret.totp", how: byShape, p0: 0.0001, test: func(v *value) verdict { return shapeOnly(strings.HasPrefix(v.low, "otpauth://")) }},
		{class: "secret.recovery_code", how: byWeak, test: func(v *value) verdict {
			return shapeOnly(v.runes >= 6 && v.nDigit+v.nLower+v.nUpper >= 6 && v.nSpace <= v.runes/4 && v.nOther == 0)
		}},
		{class: "secret.pin", how: byWeak, fams: "ti", test: func(v *value) verdict {
			// One or two digits are what is left of leading zeros, and few: a column of them counts something.
			return shapeOnly(isDigits(v.raw) && inRange(len(v.raw), 3, 8) || v.nSpace == 0 && v.runes >= 16)
		}},
		{class: "secret.security_answer", how: byWeak, test: func(v *value) verdict { return shapeOnly(v.runes >= 1 && v.runes <= 200) }},
		{class: "secret.crypto_seed", how: byShape, p0: 0.0001, test: func(v *value) verdict {
			return shapeOnly(strings.HasPrefix(v.raw, "xprv") && len(v.raw) > 100 || len(v.words) >= 12 && len(v.words) <= 24 && m.Check(v.low))
		}},
	}
}

const base64Set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

// providerPrefixes are the prefixes that token issuers document, each with the least length of the whole.
var providerPrefixes = []struct {
	prefix string
	least  int
}{
	{"sk_live_", 20},
	{"rk_live_", 20},
	{"sk_test_", 20},
	{"pk_live_", 20},
	{"whsec_", 20},
	{"ghp_", 36},
	{"gho_", 36},
	{"ghs_", 36},
	{"ghu_", 36},
	{"ghr_", 36},
	{"github_pat_", 40},
	{"xoxb-", 20},
	{"xoxp-", 20},
	{"xoxa-", 20},
	{"xapp-", 20},
	{"AIza", 39},
	{"SG.", 40},
	{"glpat-", 20},
	{"npm_", 36},
	{"pypi-", 40},
	{"shpat_", 36},
	{"shpss_", 36},
	{"dop_v1_", 60},
	{"hf_", 30},
	{"sk-ant-", 30},
	{"sk-proj-", 30},
	{"sk-", 40},
	{"sq0atp-", 20},
	{"sq0csp-", 20},
	{"EAACEdEose0cBA", 20},
	{"ya29.", 30},
	{"1//0", 30},
	{"lin_api_", 30},
	{"pat-na1-", 30},
	{"dckr_pat_", 20},
	{"NRAK-", 20},
	{"glsa_", 20},
	{"hvs.", 20},
	{"figd_", 20},
	{"rubygems_", 20},
	{"AGE-SECRET-KEY-1", 40},
	{"eyJrIjoi", 40},
	{"dapi", 36},
	{"PMAK-", 30},
	{"sntrys_", 20},
	{"pscale_tkn_", 20},
	{"tfp_", 20},
	{"secret_", 40},
	{"ATATT3", 40},
	{"ATTA", 60},
}

func providerToken(s string) bool {
	if len(s) < 16 || len(s) > 600 || strings.ContainsAny(s, " \n") {
		return false
	}
	for _, p := range providerPrefixes {
		if len(s) >= p.least && strings.HasPrefix(s, p.prefix) {
			return true
		}
	}
	if rest, ok := strings.CutPrefix(s, "key-"); ok {
		return len(rest) == 32 && isHex(rest)
	}
	if strings.HasPrefix(s, "AC") || strings.HasPrefix(s, "SK") {
		return len(s) == 34 && isHex(s[2:])
	}
	return false
}

func awsKey(s string) bool {
	if len(s) != 20 {
		return false
	}
	switch s[:4] {
	case "AKIA", "ASIA", "AROA", "AIDA":
		return only(s[4:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567890189")
	}
	return false
}

// jwt checks three parts whose first decodes to JSON with an algorithm.
func jwt(s string) bool {
	s = strings.TrimPrefix(s, "Bearer ")
	head, rest, ok := strings.Cut(s, ".")
	if !ok || !strings.HasPrefix(head, "ey") || strings.Count(rest, ".") != 1 || len(head) > 1000 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	return err == nil && strings.Contains(string(raw), `"alg"`)
}

func privateKey(s string) bool {
	if strings.HasPrefix(s, "PuTTY-User-Key-File") || strings.HasPrefix(s, "AGE-SECRET-KEY-1") {
		return true
	}
	i := strings.Index(s, "-----BEGIN ")
	if i < 0 {
		return false
	}
	head, _, ok := strings.Cut(s[i+len("-----BEGIN "):], "-----")
	return ok && (strings.HasSuffix(head, "PRIVATE KEY") || head == "PGP PRIVATE KEY BLOCK")
}

// randomToken is a string without blanks, at least twenty characters, that looks drawn at random.
func randomToken(v *value) verdict {
	s := v.raw
	if len(s) < 20 || len(s) > 1024 || v.nSpace > 0 || v.nOther > 0 {
		return misfit
	}
	if strings.Contains(s, "://") || strings.Contains(s, "@") || strings.HasPrefix(s, "/") || strings.Contains(s, ". ") {
		return misfit
	}
	limit := 3.5
	if isHex(s) {
		limit = 3
	}
	return shapeOnly(entropy(s) >= limit && (v.nDigit > 0 || v.nUpper > 2))
}

// connection finds a password in a URL or a key-value DSN.
func connection(s string) verdict {
	if len(s) < 10 || len(s) > 2000 {
		return misfit
	}
	if i := strings.Index(s, "://"); i > 1 && i < 30 {
		rest := s[i+3:]
		if at := strings.LastIndexByte(rest, '@'); at > 0 {
			_, pass, ok := strings.Cut(rest[:at], ":")
			if ok && pass != "" && !strings.ContainsAny(rest[:at], "/ ") {
				return shapeOnly(!isPlaceholderPassword(pass))
			}
		}
		if u, err := url.Parse(strings.TrimPrefix(s, "jdbc:")); err == nil {
			if p := u.Query().Get("password"); p != "" {
				return shapeOnly(!isPlaceholderPassword(p))
			}
		}
	}
	low := strings.ToLower(s)
	for _, k := range []string{"password=", "pwd=", "accountkey="} {
		if i := strings.Index(low, k); i >= 0 && strings.ContainsAny(low, ";& ") {
			p := s[i+len(k):]
			if e := strings.IndexAny(p, ";& "); e >= 0 {
				p = p[:e]
			}
			if p != "" && !isPlaceholderPassword(p) && strings.Count(low, "=") >= 2 {
				return passed
			}
		}
	}
	return misfit
}

func isPlaceholderPassword(p string) bool {
	return strings.HasPrefix(p, "$") || strings.HasPrefix(p, "{") || strings.HasPrefix(p, "<") || strings.Trim(p, "*xX.") == ""
}
