package image

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// Module is a Go module that a program of Platen's own is compiled of.
type Module struct {
	Path    string `json:"path"` // "stdlib" for the standard library
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"` // as go.sum has it
}

// modules reads what the linker wrote into a program; none of a program that is not Go's.
func modules(program []byte) []Module {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil
	}
	all := []Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		all = append(all, Module{d.Path, d.Version, d.Sum})
	}
	return all
}

// unique sorts modules, each once: the programs of an image have most in common.
func unique(modules []Module) []Module {
	modules = slices.Clone(modules)
	slices.SortFunc(modules, func(a, b Module) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(modules)
}

func (m Module) component() cyclonedx.Component {
	purl := "pkg:golang/" + m.Path + "@" + m.Version
	c := cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl}
	if m.Sum != "" {
		c.Properties = &[]cyclonedx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}
