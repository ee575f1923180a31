package discover

import (
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify"
)

// Checkpoint remembers the profiles of tables that are done, so that a broken run can go on. What it is given holds counts and
// shapes, never a value. Its methods are called one at a time.
type Checkpoint interface {
	Load(key string) ([]byte, bool)
	Save(key string, profiles []byte)
}

// key names one table's work: another OID, column list, seed, choice of partitions or classifier means another key.
func (r *run) key(w *work, columns []int) string {
	var b strings.Builder
	for _, k := range columns {
		b.WriteString(" " + w.t.Columns[k].Name + ":" + w.t.Columns[k].Type)
	}
	return strings.Join([]string{
		r.cat.Database, strconv.FormatUint(uint64(w.t.OID), 10), w.t.Schema, w.t.Name, strconv.FormatInt(r.opt.Seed, 10),
		strconv.Itoa(r.opt.Rows), strconv.FormatBool(w.t.Mixed && !r.opt.Foreign), r.c.Fingerprint(), b.String(),
	}, "\x1f")
}

func (r *run) restore(w *work, columns []int) bool {
	if r.opt.Checkpoint == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, ok := r.opt.Checkpoint.Load(r.key(w, columns))
	if !ok {
		return false
	}
	list, err := classify.DecodeProfiles(raw)
	if err != nil || len(list) != len(columns) {
		return false
	}
	for i, k := range columns {
		w.profiles[k] = list[i]
	}
	return true
}

func (r *run) save(w *work, columns []int) {
	if r.opt.Checkpoint == nil {
		return
	}
	list := make([]*classify.Profile, len(columns))
	for i, k := range columns {
		list[i] = w.profiles[k]
	}
	raw, err := classify.EncodeProfiles(list)
	if err != nil {
		return // the run goes on; only resuming is lost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opt.Checkpoint.Save(r.key(w, columns), raw)
}
