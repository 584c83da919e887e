package gzip

import (
	"cmp"
	"math/bits"
	"slices"
)

// The alphabets of RFC 1951, section 3.2.5: literals, end of block and lengths; distances.
const (
	endOfBlock = 256
	literals   = 286
	distances  = 30
)

// codeOrder is the order in which the lengths of the code lengths' code are sent (3.2.7).
var codeOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthCode returns the code of a match's length, its extra bits and their number.
func lengthCode(length int) (code int, extra uint64, n uint) {
	switch l := length - minMatch; {
	case length == maxMatch:
		return 285, 0, 0
	case l < 8:
		return 257 + l, 0, 0
	default:
		n = uint(bits.Len(uint(l)) - 3)
		return 257 + int(n+1)*4 + l>>n&3, uint64(l) & (1<<n - 1), n
	}
}

// distanceCode does the same for a distance.
func distanceCode(distance int) (code int, extra uint64, n uint) {
	d := distance - 1
	if d < 4 {
		return d, 0, 0
	}
	n = uint(bits.Len(uint(d)) - 2)
	return int(n+1)*2 + d>>n&1, uint64(d) & (1<<n - 1), n
}

// block writes the gathered tokens with Huffman codes of their own.
func (w *Writer) block(last bool) {
	var literalCount [literals]int
	var distanceCount [distances]int
	literalCount[endOfBlock] = 1
	for _, t := range w.tokens {
		if t.distance == 0 {
			literalCount[t.length]++
			continue
		}
		code, _, _ := lengthCode(int(t.length))
		literalCount[code]++
		code, _, _ = distanceCode(int(t.distance))
		distanceCount[code]++
	}
	literal := newCode(literalCount[:], 15)
	distance := newCode(distanceCount[:], 15)

	out := &w.out
	out.put(boolBit(last), 1)
	out.put(2, 2) // dynamic codes
	out.codes(literal.lengths, distance.lengths)
	for _, t := range w.tokens {
		if t.distance == 0 {
			literal.put(out, int(t.length))
			continue
		}
		code, extra, n := lengthCode(int(t.length))
		literal.put(out, code)
		out.put(extra, n)
		code, extra, n = distanceCode(int(t.distance))
		distance.put(out, code)
		out.put(extra, n)
	}
	literal.put(out, endOfBlock)
	w.tokens = w.tokens[:0]
	w.flush()
}

func boolBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// codes sends the lengths of both codes, run by run, with a code of their own.
func (o *bitWriter) codes(literal, distance []uint8) {
	nl := max(257, used(literal))
	nd := max(1, used(distance))
	all := append(slices.Clone(literal[:nl]), distance[:nd]...)
	type run struct {
		symbol int
		extra  uint64
		n      uint
	}
	var runs []run
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		i += n
		length := int(all[i-1])
		if length != 0 {
			runs = append(runs, run{symbol: length})
			n--
		}
		for n > 0 {
			switch {
			case length == 0 && n >= 11:
				k := min(n, 138)
				runs = append(runs, run{18, uint64(k - 11), 7})
				n -= k
			case length == 0 && n >= 3:
				runs = append(runs, run{17, uint64(n - 3), 3})
				n = 0
			case length != 0 && n >= 3:
				k := min(n, 6)
				runs = append(runs, run{16, uint64(k - 3), 2})
				n -= k
			default:
				runs = append(runs, run{symbol: length})
				n--
			}
		}
	}
	var count [19]int
	for _, r := range runs {
		count[r.symbol]++
	}
	c := newCode(count[:], 7)
	nc := len(codeOrder)
	for nc > 4 && c.lengths[codeOrder[nc-1]] == 0 {
		nc--
	}
	o.put(uint64(nl-257), 5)
	o.put(uint64(nd-1), 5)
	o.put(uint64(nc-4), 4)
	for _, symbol := range codeOrder[:nc] {
		o.put(uint64(c.lengths[symbol]), 3)
	}
	for _, r := range runs {
		c.put(o, r.symbol)
		o.put(r.extra, r.n)
	}
}

func used(lengths []uint8) int {
	n := len(lengths)
	for n > 0 && lengths[n-1] == 0 {
		n--
	}
	return n
}

// code is a canonical Huffman code; its bits are reversed, as they are sent.
type code struct {
	lengths []uint8
	bits    []uint16
}

func (c code) put(o *bitWriter, symbol int) {
	o.put(uint64(c.bits[symbol]), uint(c.lengths[symbol]))
}

// newCode makes the best code for the counts in which no symbol is longer than limit.
func newCode(count []int, limit int) code {
	c := code{codeLengths(count, limit), make([]uint16, len(count))}
	var perLength, next [16]int
	for _, l := range c.lengths {
		if l > 0 {
			perLength[l]++
		}
	}
	for l := 1; l < 16; l++ {
		next[l] = (next[l-1] + perLength[l-1]) << 1
	}
	for symbol, l := range c.lengths {
		if l > 0 {
			c.bits[symbol] = bits.Reverse16(uint16(next[l])) >> (16 - l)
			next[l]++
		}
	}
	return c
}

// codeLengths is package-merge (Larmore and Hirschberg, 1990): the optimal lengths within a limit.
func codeLengths(count []int, limit int) []uint8 {
	type node struct {
		weight      int
		symbol      int // -1 for a package
		left, right int32
	}
	lengths := make([]uint8, len(count))
	var leaves []node
	for symbol, n := range count {
		if n > 0 {
			leaves = append(leaves, node{weight: n, symbol: symbol})
		}
	}
	if len(leaves) < 2 {
		for _, l := range leaves {
			lengths[l.symbol] = 1
		}
		return lengths
	}
	slices.SortFunc(leaves, func(a, b node) int { return cmp.Or(a.weight-b.weight, a.symbol-b.symbol) })
	nodes := make([]node, 0, 2*limit*len(leaves))
	var below []int32 // the nodes of the level below, by weight
	for range limit {
		var level []int32
		packages := 0
		leaf := 0
		for leaf < len(leaves) || packages+1 < len(below) {
			weight := -1
			if packages+1 < len(below) {
				weight = nodes[below[packages]].weight + nodes[below[packages+1]].weight
			}
			if leaf < len(leaves) && (weight < 0 || leaves[leaf].weight <= weight) {
				nodes = append(nodes, leaves[leaf])
				leaf++
			} else {
				nodes = append(nodes, node{weight, -1, below[packages], below[packages+1]})
				packages += 2
			}
			level = append(level, int32(len(nodes)-1))
		}
		below = level
	}
	stack := slices.Clone(below[:2*len(leaves)-2])
	for len(stack) > 0 {
		n := nodes[stack[len(stack)-1]]
		stack = stack[:len(stack)-1]
		if n.symbol >= 0 {
			lengths[n.symbol]++
			continue
		}
		stack = append(stack, n.left, n.right)
	}
	return lengths
}

// bitWriter packs bits, lowest first.
type bitWriter struct {
	bytes []byte
	acc   uint64
	n     uint
}

func (o *bitWriter) put(value uint64, n uint) {
	o.acc |= value << o.n
	o.n += n
	for o.n >= 8 {
		o.bytes = append(o.bytes, byte(o.acc))
		o.acc >>= 8
		o.n -= 8
	}
}

func (o *bitWriter) align() {
	if o.n > 0 {
		o.bytes = append(o.bytes, byte(o.acc))
		o.acc, o.n = 0, 0
	}
}
