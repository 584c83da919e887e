package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"platen/internal/report"
	"platen/internal/site"
)

// WriteSchema writes the JSON Schema beside the configuration, for editors.
func WriteSchema(folder string) (string, error) {
	path := filepath.Join(folder, filepath.FromSlash(site.SchemaFile))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("write the schema: %w", err)
	}
	if err := os.WriteFile(path, site.Schema(), 0o644); err != nil {
		return "", fmt.Errorf("write the schema: %w", err)
	}
	return path, nil
}

// InitOptions are init's.
type InitOptions struct {
	Folder string // "" = the working directory
	Name   string // "" = the folder's
	Force  bool   // replace a file that is there
}

// Init writes a short, commented configuration and its schema, and returns the paths.
func Init(o InitOptions) ([]string, error) {
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return nil, fmt.Errorf("find the site's folder: %w", err)
	}
	if o.Name == "" {
		o.Name = site.Default(folder).Name
	}
	text := site.Template(o.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the site's folder: %w", err)
	}
	path := filepath.Join(folder, FileName)
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, report.Hint(fmt.Errorf("write %s: it is there already", path), "edit it, or replace it: platen init --force")
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	schema, err := WriteSchema(folder)
	return []string{path, schema}, err
}
