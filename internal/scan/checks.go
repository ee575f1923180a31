package scan

import (
	"fmt"
	"slices"
)

// Checks lists every check that this version evaluates, in the order of the catalogue. The list is made by hand, area by area; there is no
// registration.
func Checks() ([]Check, error) {
	meta, order, err := Catalogue()
	if err != nil {
		return nil, err
	}
	var out []Check
	for _, area := range [][]Check{
		networkChecks(), hbaChecks(), tlsChecks(), roleChecks(), privilegeChecks(), rowSecurityChecks(), functionChecks(), extensionChecks(),
		loggingChecks(), patchChecks(), secretChecks(), dataChecks(), replicationChecks(), metaChecks(),
		hostFileChecks(), hostSystemChecks(), hostSecretChecks(), declaredChecks(), labelledChecks(), sampledChecks(),
	} {
		out = append(out, area...)
	}
	place := map[string]int{}
	for i, id := range order {
		place[id] = i
	}
	for i := range out {
		m, ok := meta[out[i].ID]
		if !ok {
			return nil, fmt.Errorf("check %s is not in the catalogue", out[i].ID)
		}
		out[i].Meta = m
	}
	slices.SortFunc(out, func(a, b Check) int { return place[a.ID] - place[b.ID] })
	return out, nil
}
