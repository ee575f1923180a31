package classify

import "strings"

func specialProbes(d *dictionaries) []probe {
	set := func(class Class, kind string, limit float64) probe {
		return probe{class: class, how: bySet, limit: limit, test: func(v *value) verdict {
			return shapeOnly(d.has(kind, underscored(v.low)))
		}}
	}
	return []probe{
		set("special.religion", "religion", 6.5),
		set("special.ethnicity", "ethnicity", 6),
		set("special.political", "party", 4),
		set("special.sexual_orientation", "orientation", 8),
		set("special.criminal", "offence", 6.5),
		{class: "special.trade_union", how: byWeak, fams: "ti", test: func(v *value) verdict {
			return shapeOnly(v.runes <= 60)
		}},
		{class: "special.nationality", how: bySet, limit: 5, test: func(v *value) verdict {
			return shapeOnly(d.has("demonym", v.low))
		}},
		{class: "special.nationality", how: byWeak, named: true, test: func(v *value) verdict {
			u := strings.ToUpper(v.raw)
			return shapeOnly(d.has("demonym", v.low) || d.countryName[v.low] != "" || d.alpha2[u] || d.alpha3[u] || d.numeric[v.raw])
		}},
		{class: "special.language", how: bySet, limit: 4, test: func(v *value) verdict { return shapeOnly(d.has("language", v.low)) }},
		{class: "special.language", how: byWeak, test: func(v *value) verdict {
			l := v.low
			if i := strings.IndexAny(l, "-_"); i == 2 {
				l = l[:2]
			}
			return shapeOnly(d.has("language", l) || d.has("language_code", l))
		}},
	}
}
