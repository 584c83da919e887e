package image_test

import (
	"reflect"
	"strings"
	"testing"

	"platen/internal/image"
)

func TestRecipesAreReadStrictly(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":       {"config: {entrypoint: [/a]}\nlayres: []\n", "layres"},
		"a key twice":          {"config: {entrypoint: [/a]}\nconfig: {entrypoint: [/b]}\n", "config"},
		"no layers":            {"config: {entrypoint: [/a]}\n", "begins with a layer"},
		"no entrypoint":        {"users: []\n", "config.entrypoint"},
		"a broken glob":        {"config: {entrypoint: [/a]}\nlayers: [{name: x, keep: ['a[']}]\n", "not a glob"},
		"a path that leaves":   {"config: {entrypoint: [/a]}\nlayers: [{name: x, dirs: [{path: ../x}]}]\n", "clean path"},
		"an absolute path":     {"config: {entrypoint: [/a]}\nlayers: [{name: x, dirs: [{path: /x}]}]\n", "clean path"},
		"everyone may write":   {"config: {entrypoint: [/a]}\nlayers: [{name: x, dirs: [{path: x, mode: 0777}]}]\n", "sticky"},
		"set-user-id":          {"config: {entrypoint: [/a]}\nlayers: [{name: x, dirs: [{path: x, mode: 04755}]}]\n", "set-id"},
		"an unknown condition": {"config: {entrypoint: [/a]}\nlayers: [{name: x, content: own}]\n", "neither shared nor image"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := image.ParseRecipe("x", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
}

func TestRecipeForASite(t *testing.T) {
	r := recipe(t, "x", `
layers:
  - {name: php, extra: true, packages: [php]}
  - {name: theme, content: image, alone: [theme]}
  - {name: seed, content: shared, alone: [theme, seed]}
config: {entrypoint: [/a]}
`)
	with, alone := r.For("shared", []string{"php-soap"}).Roots()
	if !reflect.DeepEqual(with, []string{"php", "php-soap"}) || !reflect.DeepEqual(alone, []string{"seed", "theme"}) {
		t.Errorf("roots are %v and %v", with, alone)
	}
	if with, _ = r.For("image", nil).Roots(); !reflect.DeepEqual(with, []string{"php"}) {
		t.Errorf("one site's packages are in another's recipe: %v", with)
	}
}
