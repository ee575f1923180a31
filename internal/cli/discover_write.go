package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// patchBase is what a patch that is written to a file extends, and how the file stands, nil when there is none: the file itself when it
// is of the policy, else the policy's one file, or nothing beside a folder of them. Any other file that exists is somebody's.
func patchBase(c *config.Config, path string) (text []byte, info os.FileInfo, err error) {
	info, err = os.Stat(path)
	switch {
	case err == nil:
		for _, name := range c.Files {
			if of, err := os.Stat(name); err == nil && os.SameFile(info, of) {
				text, err = os.ReadFile(name) //nolint:gosec // a file of the policy
				return text, info, err
			}
		}
		return nil, nil, failed("name a file of the policy, or one that is not there yet",
			fmt.Errorf("--write %s: the file exists and is not of the policy %s: it is left as it is", path, c.Path))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	case len(c.Files) == 1 && c.Files[0] == c.Path: // not a folder: two files in it must not say the same
		text, err = os.ReadFile(c.Path)
		return text, nil, err
	}
	return nil, nil, nil
}

// writePatch writes the policy file with what was found. What would not load is not written.
func (a *app) writePatch(path string, c *config.Config, reports discover.Reports) error {
	existing, info, err := patchBase(c, path)
	if err != nil {
		return err
	}
	patched, err := reports.Patch(existing, c.Policy)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if left := r.Unserved(c.Policy); len(left) > 0 {
			a.ui.note("store %s does not serve the schemas %q: what was found there is not in the patch; add them to stores.%s.schemas", r.Store, left, r.Store)
		}
		if n := r.Unwritable(); n > 0 {
			a.ui.note("%s of store %s not in the patch: their names have control characters, which the policy refuses", count(n, "column"), r.Store)
		}
	}
	for _, n := range reports.Notes(existing, c.Policy) {
		a.ui.note("%s", printable(n))
	}
	if bytes.Equal(existing, patched) {
		a.ui.note("nothing is new for the policy: %s is left as it is", path)
		return nil
	}
	if err := loads(c, path, info, patched); err != nil {
		return failed("the policy is as it was; correct what is in the way and run discover again", fmt.Errorf("the patch of %s would not load: %w", path, err))
	}
	if err := replaceFile(path, patched); err != nil {
		return fmt.Errorf("write the patch: %w", err)
	}
	a.ui.note("wrote %s: review it, then postern policy check and postern plan", path)
	return nil
}

// loads checks the policy with a file of it changed or added.
func loads(c *config.Config, path string, info os.FileInfo, patched []byte) error {
	files := []config.File{{Name: path, Text: patched}}
	for _, name := range c.Files {
		if of, err := os.Stat(name); err == nil && info != nil && os.SameFile(info, of) || info == nil && name == c.Path {
			continue
		}
		text, err := os.ReadFile(name) //nolint:gosec // a file of the policy
		if err != nil {
			return err
		}
		files = append(files, config.File{Name: name, Text: text})
	}
	_, err := config.Parse(c.Folder, files, pgsql.Syntax{})
	return err
}

// replaceFile puts a text in the place of a file, with its rights and its owner, or makes it: a disk that is full or a fall of the machine
// leaves what was there.
func replaceFile(path string, text []byte) error {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to // the link stays
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".postern-*") // made with mode 0600; a folder's policy leaves it out
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if info, none := os.Stat(path); none == nil && err == nil {
		err = likeFile(f, info)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
