package task

// Bodies says how many requests with a body nginx takes at once, and of which size. A body that
// does not fit into a buffer waits in nginx' /tmp, which is memory: Folder holds all of them, so
// that nobody who sends slowly, or much, can fill it for the others.
type Bodies struct {
	// Small is the limit in bytes of a body of everybody, everywhere; Limit is the one of people
	// who are logged in, where files are taken.
	Small, Limit int64
	// Anonymous, Medium and Large are how many are taken at once: of 100 kB and more from
	// visitors; up to Small, and larger ones, from people who are logged in. A browser sends six.
	Anonymous, Medium, Large int
}

const mebibyte = 1 << 20

// Limit is the largest body in bytes: an upload, and a mebibyte for the form around it.
func (p PHP) Limit() int64 { return p.Upload + mebibyte }

// Bodies is what nginx takes before php of this size.
func (p PHP) Bodies() Bodies {
	return Bodies{Small: min(8*mebibyte, p.Limit()), Limit: p.Limit(), Anonymous: 4, Medium: 6, Large: 2}
}

// Folder is the size in bytes of nginx' /tmp.
func (b Bodies) Folder() int64 {
	return int64(b.Anonymous+b.Medium)*b.Small + int64(b.Large)*b.Limit
}

// PHPFolder is the size in bytes of php's /tmp, where it unpacks what nginx hands on: no more
// large ones than nginx takes, and one small one for each other child.
func (p PHP) PHPFolder() int64 {
	b := p.Bodies()
	return max(64*mebibyte, int64(b.Large)*b.Limit+int64(max(0, p.Children-b.Large))*b.Small)
}
