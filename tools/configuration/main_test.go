package main

import (
	"os"
	"testing"

	"platen/internal/site"
)

func TestPageSaysWhatTheSchemaSays(t *testing.T) {
	want, err := Page(site.Schema())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is out of date: go run ./tools/configuration > docs/configuration.md")
	}
}
