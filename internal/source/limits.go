package source

// Limits bound what an archive may hold. They lie far above every plugin, theme or WordPress
// itself (3,500 files, 80 MB unpacked), and far below what would fill a disk or the memory.
type Limits struct {
	Packed  int64 // bytes of the archive itself
	Entries int   // files, folders and links
	File    int64 // bytes of one file, unpacked
	Total   int64 // bytes of all files, unpacked
	Ratio   int64 // unpacked to packed, once more than Slack is unpacked
	Slack   int64 // bytes; what is smaller than this harms nobody at any ratio
	Path    int   // bytes of a path
	Name    int   // bytes of one name in it; file systems take 255
}

// DefaultLimits hold for every archive that is not the test's own. Deflate packs text at 3 to 10
// and cannot go beyond 1,032, which only a file of one repeated byte reaches.
var DefaultLimits = Limits{
	Packed: 512 << 20, Entries: 65_000, File: 256 << 20, Total: 2 << 30, Ratio: 100, Slack: 64 << 20,
	Path: 1024, Name: 255,
}

// directory is how large a zip's table of contents may be: it is read into memory as a whole.
const directory = 16 << 20
