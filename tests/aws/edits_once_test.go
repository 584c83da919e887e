//go:build !prove

package aws

// eachEdit: make prove plans every edit alone, make test all of them at once.
const eachEdit = false
