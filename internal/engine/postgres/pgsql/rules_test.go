package pgsql

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// TestENF66 is the table of ENF-66, line by line: every kind of statement that the grammar has stands at the top of a golden case, those
// that some profile may run are accepted in one and refused in another, and all others are accepted in none.
func TestENF66(t *testing.T) {
	never := strings.Fields("RawStmt ReturnStmt PLAssignStmt ReplicaIdentityStmt SetOperationStmt Query") // no client's text begins with them
	allowed := strings.Fields(`SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt CopyStmt DeclareCursorStmt FetchStmt ClosePortalStmt PrepareStmt
		ExecuteStmt DeallocateStmt ExplainStmt VariableSetStmt VariableShowStmt DiscardStmt TransactionStmt ConstraintsSetStmt CallStmt ListenStmt UnlistenStmt
		NotifyStmt CreateTableAsStmt CreateStmt DropStmt TruncateStmt AlterTableStmt IndexStmt CommentStmt`)
	always := strings.Fields("FetchStmt ClosePortalStmt DeallocateStmt DiscardStmt") // there is nothing in them to refuse
	accepted, refused := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("testdata/guard/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		_, cases := readGolden(t, file)
		for _, c := range cases {
			tree, err := pg.Parse(c.input)
			if err != nil {
				continue
			}
			for _, raw := range tree.Stmts {
				name := string(unwrap(raw.Stmt).ProtoReflect().Descriptor().Name())
				if strings.HasPrefix(c.output, "refuse") {
					refused[name] = refused[name] || len(tree.Stmts) == 1
				} else {
					accepted[name] = true
				}
			}
		}
	}
	fields := (&pg.Node{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Message().Name())
		if !strings.HasSuffix(name, "Stmt") || slices.Contains(never, name) {
			continue
		}
		may := slices.Contains(allowed, name)
		switch {
		case may && !accepted[name]:
			t.Errorf("%s is accepted in no case", name)
		case !may && accepted[name]:
			t.Errorf("%s is accepted, and is not on the list", name)
		case !refused[name] && !slices.Contains(always, name):
			t.Errorf("%s is refused in no case", name)
		}
	}
}
