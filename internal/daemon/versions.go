package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
)

// keepOutline keeps what the policy in force says, so that it can be compared with what comes after it. That it could not be kept stops
// nothing.
func (d *daemon) keepOutline(ctx context.Context) {
	p := d.config.Policy
	ctx, cancel := context.WithTimeout(ctx, stateLimit)
	defer cancel()
	if err := d.grants.st.KeepPolicy(ctx, p.Digest, d.grants.desk.Now(), p.Outline()); err != nil {
		d.log.Error("what the policy says was not kept: it cannot be compared with the next", "error", err)
	}
}

// fileDetail adds which of the policy's files was changed last, when, and whose it is on disk. Who typed is not known to Postern; whose
// file it is, the machine says.
func (d *daemon) fileDetail(c *config.Config, detail map[string]string) map[string]string {
	var last os.FileInfo
	for _, path := range c.Files {
		if info, err := os.Stat(path); err == nil && (last == nil || info.ModTime().After(last.ModTime())) {
			last = info
			detail["file"] = filepath.Base(path)
		}
	}
	if last == nil {
		return detail
	}
	detail["file_changed"] = last.ModTime().UTC().Format(time.RFC3339)
	if owner := ownerOf(last); owner != "" {
		detail["file_owner"] = "os:" + owner
	}
	return detail
}

// NoteApply puts into the trail that somebody at the machine brought a store to the policy. Where nobody has served yet there is no state
// to leave it in, and no trail.
func NoteApply(ctx context.Context, c *config.Config, account, store, what string, at time.Time) error {
	st, err := openExisting(ctx, c)
	if err != nil {
		if isMissing(err) {
			return nil
		}
		return err
	}
	e := access.Event{Kind: string(audit.ApplyDone), At: at.UTC(), Actor: "os:" + account, Channel: "machine", Policy: c.Policy.Digest, Reason: fmt.Sprintf("store %s: %s", store, what)}
	if err := st.Commit(ctx, access.Change{Events: []access.Event{e}}); err != nil {
		_ = st.Close()
		return err
	}
	return st.Close()
}
