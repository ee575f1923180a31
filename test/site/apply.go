package site

import (
	"encoding/json"
	"strings"
	"testing"
)

// Plan is what `postern plan --format json` says of a store, as far as tests look at it.
type Plan struct {
	Store   string `json:"store"`
	Changes []struct {
		ID      string   `json:"id"`
		Title   string   `json:"title"`
		SQL     []string `json:"sql"`
		Consent string   `json:"consent"`
	} `json:"changes"`
	Operator []struct {
		ID       string   `json:"id"`
		Title    string   `json:"title"`
		SQL      []string `json:"sql"`
		Required bool     `json:"required"`
	} `json:"operator_steps"`
	Warnings []PlanWarning `json:"warnings"`
}

// PlanWarning is what somebody should know before saying yes.
type PlanWarning struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// Plan asks for the plan of the only store.
func (s *Site) Plan(t testing.TB) Plan {
	t.Helper()
	r := s.Run(t, "plan", "--format", "json")
	if r.Code != 0 && r.Code != 1 {
		t.Fatalf("postern plan: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	var p Plan
	if err := json.Unmarshal([]byte(r.Stdout), &p); err != nil {
		t.Fatalf("postern plan --format json: %v\n%s", err, r.Stdout)
	}
	return p
}

// Apply brings the server to what the policy wants, as an operator would: reads the plan, runs as superuser the steps
// that need one, consents by name to what wants it, and makes sure that nothing is left to do.
func (s *Site) Apply(t testing.TB) {
	t.Helper()
	p := s.Plan(t)
	for _, step := range p.Operator {
		if step.Required {
			s.DB.Exec(t, strings.Join(step.SQL, ";\n"))
		}
	}
	s.accept(t, p)
	for _, step := range s.Plan(t).Operator {
		s.DB.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	p = s.Plan(t)
	for _, c := range p.Changes {
		t.Errorf("after apply there is still to do: %s: %s\n%s", c.ID, c.Title, strings.Join(c.SQL, ";\n"))
	}
	for _, o := range p.Operator {
		t.Errorf("after the operator's steps there is still one: %s: %s\n%s", o.ID, o.Title, strings.Join(o.SQL, ";\n"))
	}
}

// ApplyConsenting builds the wall, consenting by name to what wants it, and leaves the operator's steps alone.
func (s *Site) ApplyConsenting(t testing.TB) {
	t.Helper()
	s.accept(t, s.Plan(t))
}

func (s *Site) accept(t testing.TB, p Plan) {
	t.Helper()
	args := []string{"apply", "--yes"}
	for _, c := range p.Changes {
		if c.Consent != "" {
			args = append(args, "--accept", c.ID)
		}
	}
	s.Must(t, args...)
}
