package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"platen/internal/task"
)

// Where Debian's PHP keeps its modules, whatever the version of its interface, and where the
// images keep the certificate authorities.
const (
	modulesGlob = "/usr/lib/php/20*/*.so"
	scanGlob    = "/etc/php/*/cli/conf.d/*.ini"
	rootsFile   = "/etc/ssl/certs/ca-certificates.crt"
	rdsFile     = task.Platen + "/rds-roots.pem"
)

// ThisHost looks around in the container.
func ThisHost() (Host, error) {
	host := Host{Templates: os.DirFS(filepath.Join(task.Platen, "templates"))}
	var err error
	if host.Roots, err = optional(rootsFile); err != nil {
		return host, err
	}
	if host.CA, err = optional(filepath.Join(task.Secrets, task.FileCA)); err != nil {
		return host, err
	}
	if host.RDS, err = optional(rdsFile); err != nil {
		return host, err
	}
	host.Extensions, err = extensions(modulesGlob, scanGlob)
	return host, err
}

// extensions lists PHP's modules in the order in which they can be loaded. When the image has
// a folder that PHP scans, that folder has loaded them already.
func extensions(modules, scanned string) ([]string, error) {
	if found, err := filepath.Glob(scanned); err != nil || len(found) > 0 {
		return nil, err
	}
	paths, err := filepath.Glob(modules)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".so"))
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// rank puts the modules that others link against first: mysqli needs mysqlnd, redis igbinary,
// xmlreader dom, pdo_mysql pdo.
func rank(name string) int {
	if i := slices.Index([]string{"opcache", "mysqlnd", "pdo", "xml", "dom", "igbinary", "session"}, name); i >= 0 {
		return i
	}
	return 100
}

func optional(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	return data, nil
}
