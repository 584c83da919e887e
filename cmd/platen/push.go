package main

import (
	"context"
	"strings"

	"platen/internal/aws"
	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/report"
)

// pushImages brings images to a registry: to ECR with a token of its own, elsewhere as the person
// whom Docker's configuration knows.
func pushImages(ctx context.Context, r engine.PushRequest, images []image.Image, sink report.Sink) (map[string]string, error) {
	auth := r.Auth
	if auth == nil && len(images) > 0 {
		host, _, _ := strings.Cut(r.Repository(images[0].Name), "/") // one prefix, so one registry
		var err error
		if auth, err = aws.RegistryToken(ctx, host); err != nil {
			return nil, err
		}
	}
	return registry.Push(ctx, registry.PushOptions{
		Repository: r.Repository, Tag: r.Tag, Auth: auth, Attach: image.Image.Attachment,
	}, images, sink)
}

// pullImage brings an image here as whoever would push it: from ECR with a token of its own.
func pullImage(ctx context.Context, blobs *registry.Cache, name, reference, platform string, sink report.Sink) (image.Image, error) {
	return registry.Pull(ctx, blobs, registry.PullOptions{Name: name, Reference: reference, Platform: platform, AuthOf: aws.RegistryToken}, sink)
}
