package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// SBOMType is the media type of an image's bill of materials.
const SBOMType types.MediaType = "application/vnd.cyclonedx+json"

// SBOM is the image's bill of materials in CycloneDX's JSON: every package that the image has files
// of, with version, source, licences and the SHA-256 of what was unpacked; the zips that plugins and
// themes came in by address; the modules that Platen's own programs are compiled of. The same image has the
// same one: there is neither a time nor a random number in it.
func (img Image) SBOM() ([]byte, error) {
	if img.adopted {
		return nil, fmt.Errorf("list what image %s is made of: it was made elsewhere, and its bill of materials is where it was made, or beside it in its registry", img.Name)
	}
	_, hash, ok := strings.Cut(img.Digest, ":")
	if !ok || len(hash) < 32 {
		return nil, fmt.Errorf("list what image %s is made of: it has no digest", img.Name)
	}
	bom := cyclonedx.NewBOM()
	// A UUID of version 8 (RFC 9562: of the vendor's making) from the image's digest.
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%s-%s-8%s-a%s-%s", hash[:8], hash[8:12], hash[13:16], hash[17:20], hash[20:32])
	self := "image:" + img.Name
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: self, Type: cyclonedx.ComponentTypeContainer, Name: "platen " + img.Name, Version: img.Digest,
		Properties: &[]cyclonedx.Property{{Name: "platen:platform", Value: img.Platform}},
	}}
	arch := strings.TrimPrefix(img.Platform, "linux/")
	components := []cyclonedx.Component{{
		BOMRef: "os:debian", Type: cyclonedx.ComponentTypeOS, Name: "debian", Version: debianVersion,
	}}
	for _, p := range img.pins {
		components = append(components, p.component(arch, img.licences[p.Name]))
	}
	for _, part := range img.parts {
		if !slices.ContainsFunc(part.Held, func(h Held) bool { return h.Package != "" }) {
			components = append(components, part.component())
		}
	}
	for _, d := range img.addons {
		components = append(components, d.component())
	}
	for _, m := range unique(img.modules) {
		components = append(components, m.component())
	}
	bom.Components = &components
	needs := make([]string, len(components))
	for i, c := range components {
		needs[i] = c.BOMRef
	}
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: self, Dependencies: &needs}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, fmt.Errorf("list what image %s is made of: %w", img.Name, err)
	}
	return out.Bytes(), nil
}

// debianVersion is the release whose packages the recipes name.
const debianVersion = "13"

// component describes a package.
func (p Package) component(arch string, licences []string) cyclonedx.Component {
	c := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeLibrary, Name: p.Name, Version: p.Version,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: p.SHA256}},
	}
	switch p.Archive {
	case FromRelease, FromFolder:
		c.Type = cyclonedx.ComponentTypeApplication
		c.PackageURL = fmt.Sprintf("pkg:generic/%s@%s?checksum=sha256:%s", p.Name, url.PathEscape(p.Version), p.SHA256)
	default:
		c.Publisher = "Debian"
		c.PackageURL = fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&distro=debian-%s", url.QueryEscape(p.Name), url.QueryEscape(p.Version), p.Architecture, debianVersion)
		properties := []cyclonedx.Property{
			{Name: "debian:source", Value: p.SourceName()},
			{Name: "debian:archive", Value: p.Archive},
			{Name: "debian:file", Value: p.Filename},
			{Name: "platen:licence-file", Value: "/usr/share/doc/" + p.Name + "/copyright"},
		}
		c.Properties = &properties
	}
	c.BOMRef = c.PackageURL
	if len(licences) > 0 {
		list := cyclonedx.Licenses{}
		for _, name := range licences {
			l := cyclonedx.License{Name: name}
			if isSPDX(name) {
				l = cyclonedx.License{ID: name}
			}
			list = append(list, cyclonedx.LicenseChoice{License: &l})
		}
		c.Licenses = &list
	}
	return c
}

// component describes the zip of a plugin or a theme.
func (d Download) component() cyclonedx.Component {
	purl := fmt.Sprintf("pkg:generic/%s?checksum=sha256:%s&download_url=%s", path.Base(d.Name), d.SHA256, url.QueryEscape(d.URL))
	return cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: d.Name, PackageURL: purl,
		Hashes:             &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: d.SHA256}},
		ExternalReferences: &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeDistribution, URL: d.URL}},
	}
}

// component describes a layer that holds files of no package: Platen's own, and the site's.
func (p part) component() cyclonedx.Component {
	_, hash, _ := strings.Cut(p.DiffID, ":")
	return cyclonedx.Component{
		BOMRef: "layer:" + p.Name + ":" + hash[:min(12, len(hash))], Type: cyclonedx.ComponentTypeFile, Name: "layer " + p.Name,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hash}},
	}
}

// Attachment is the bill of materials as an OCI artifact whose subject is the image: where a registry
// or a layout holds both, tools find it by the image (OCI distribution 1.1, referrers). It is nil for an
// image that was made elsewhere.
func (img Image) Attachment() (v1.Image, error) {
	if img.adopted {
		return nil, nil
	}
	text, err := img.SBOM()
	if err != nil {
		return nil, err
	}
	subject, err := partial.Descriptor(img.OCI)
	if err != nil {
		return nil, fmt.Errorf("attach the bill of materials of image %s: %w", img.Name, err)
	}
	subject.Platform, subject.Annotations = nil, nil
	// Without the spaces for people: it goes with every push, and would be half of a small one.
	var packed bytes.Buffer
	if err := json.Compact(&packed, text); err != nil {
		return nil, fmt.Errorf("attach the bill of materials of image %s: %w", img.Name, err)
	}
	layer := static.NewLayer(packed.Bytes(), SBOMType)
	descriptor, err := partial.Descriptor(layer)
	if err != nil {
		return nil, fmt.Errorf("attach the bill of materials of image %s: %w", img.Name, err)
	}
	empty := sha256.Sum256([]byte("{}"))
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  string(SBOMType),
		Config: v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Size: 2,
			Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(empty[:])}, Data: []byte("{}")},
		Layers:      []v1.Descriptor{*descriptor},
		Subject:     subject,
		Annotations: map[string]string{"org.opencontainers.image.title": img.Name + ".cdx.json"},
	})
	if err != nil {
		return nil, fmt.Errorf("attach the bill of materials of image %s: %w", img.Name, err)
	}
	return partial.CompressedToImage(attachment{manifest, layer})
}

// attachment is an artifact of one layer and an empty configuration.
type attachment struct {
	manifest []byte
	layer    v1.Layer
}

func (a attachment) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (a attachment) RawManifest() ([]byte, error)        { return a.manifest, nil }
func (a attachment) RawConfigFile() ([]byte, error)      { return []byte("{}"), nil }
func (a attachment) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if own, err := a.layer.Digest(); err != nil || own != h {
		return nil, fmt.Errorf("the artifact has no layer %s", h)
	}
	return a.layer, nil
}
