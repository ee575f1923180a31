package scan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// areaOf is the area of a seed's first check.
func areaOf(s *seed) string { return s.fires[0][:3] }

// pairsOfCI is how many pairs each area tries where nobody asks for all.
const pairsOfCI = 1

// TestPairs makes servers with two faults of one area, so that what they do to each other is seen apart from everything else. With
// POSTERN_PAIRS it tries all pairs there are, else a few. No pair calls up what neither fault does alone, so there is no list of such.
func TestPairs(t *testing.T) {
	c := pgtest.Default(t)
	rnd := rand.New(rand.NewPCG(seedOfRun(t, "POSTERN_SEED"), 2)) //nolint:gosec // a test's choices
	var pairs [][2]string
	byArea := map[string]int{}
	all := slices.DeleteFunc(seeds(), func(s seed) bool { return s.from > c.Major })
	for i := range all {
		for j := range i {
			if area := areaOf(&all[i]); area == areaOf(&all[j]) && (os.Getenv("POSTERN_PAIRS") != "" || byArea[area] < pairsOfCI) {
				byArea[area]++
				pairs = append(pairs, [2]string{all[i].name, all[j].name})
			}
		}
	}
	var quiet calm
	seedServer(t, c, rnd, &quiet)
	for _, p := range pairs {
		t.Run(p[0]+" and "+p[1], func(t *testing.T) { seedServer(t, c, rnd, &quiet, p[0], p[1]) })
	}
	t.Logf("%d pairs: %v", len(pairs), byArea)
}

// TestPairsTLS does the same for faults of TLS, where it tries all pairs that change different things.
func TestPairsTLS(t *testing.T) {
	t.Parallel()
	if os.Getenv("POSTERN_PAIRS") == "" {
		t.Log("a few of the pairs: POSTERN_PAIRS=1 tries all")
	}
	c := pgtest.Start(t, pgtest.DefaultMajor)
	rnd := rand.New(rand.NewPCG(seedOfRun(t, "POSTERN_SEED"), 3)) //nolint:gosec // a test's choices
	all, made := tlsSeeds(), 0
	var quiet calm
	seedTLS(t, c, rnd, &quiet, nil)
	for i := range all {
		for j := range i {
			if all[i].slot == all[j].slot || os.Getenv("POSTERN_PAIRS") == "" && made >= pairsOfCI {
				continue
			}
			made++
			t.Run(fmt.Sprintf("%s and %s", all[i].name, all[j].name), func(t *testing.T) { seedTLS(t, c, rnd, &quiet, []string{all[i].name, all[j].name}) })
		}
	}
	t.Logf("%d pairs", made)
}

// TestPairsHost does the same for faults of the host and the network.
func TestPairsHost(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: see TestSeededHost")
		return
	}
	c := pgtest.Start(t, pgtest.DefaultMajor)
	rnd := rand.New(rand.NewPCG(seedOfRun(t, "POSTERN_SEED"), 4)) //nolint:gosec // a test's choices
	all, made := hostSeeds(), 0
	var quiet calm
	seedHost(t, c, rnd, &quiet)
	for i := range all {
		for j := range i {
			if os.Getenv("POSTERN_PAIRS") == "" && made >= pairsOfCI {
				continue
			}
			made++
			t.Run(fmt.Sprintf("%s and %s", all[i].name, all[j].name), func(t *testing.T) { seedHost(t, c, rnd, &quiet, all[i].name, all[j].name) })
		}
	}
	t.Logf("%d pairs", made)
}
