package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// tryShadows compiles each shadow rule as if it were in force, and has the server try its masks and filters when it can. Nothing is built
// for a shadow rule, so that what is wrong with one stops nobody: it becomes a warning of the plan.
func (s *Server) tryShadows(ctx context.Context, req Request, r *Result, onServer bool) error {
	for _, rule := range req.Policy.Rules {
		if !rule.Shadow || !req.Policy.Reaches(rule, req.Store) {
			continue
		}
		problems, err := s.tryShadow(ctx, req, r, rule, onServer)
		if err != nil {
			return fmt.Errorf("try shadow rule %s: %w", rule.Name, err)
		}
		for i, p := range problems {
			pos := p.Pos
			if pos.IsZero() {
				pos = rule.Pos
			}
			id := "shadow-fails:" + rule.Name
			if i > 0 {
				id += fmt.Sprintf(":%d", i+1)
			}
			r.Plan.Warnings = append(r.Plan.Warnings, plan.Warning{
				ID: id, Pos: pos, Text: fmt.Sprintf("shadow rule %s could not be put in force: %s", rule.Name, p.Message),
				Hint: cmp.Or(p.Hint, "mend it: until then the trail says nothing of what the shadow rules would do"),
			})
		}
	}
	return nil
}

// tryShadow says what is wrong with one shadow rule. Whatever is wrong with the policy is: without the rule it was found sound.
func (s *Server) tryShadow(ctx context.Context, req Request, r *Result, rule *policy.Rule, onServer bool) (policy.Problems, error) {
	req.Policy = req.Policy.WithShadow(rule.Name)
	req.Snapshot, req.Engine, req.Extensions = r.Snapshot, Engine{}, pgsql.ExtensionFunctions()
	with, err := plan.Compile(req)
	var problems policy.Problems
	if err == nil && onServer {
		alone := *with
		alone.Rules = slices.DeleteFunc(slices.Clone(with.Rules), func(x *plan.Rule) bool { return x.Name != rule.Name })
		err = s.tryOut(ctx, &Result{Snapshot: r.Snapshot, Wanted: &alone})
	}
	if errors.As(err, &problems) {
		return problems, nil
	}
	return nil, err
}
