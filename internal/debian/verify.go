package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// verifyClearSigned returns the text of a clear-signed message that carries at least one good
// signature by one of keys at time now. Only what is returned was signed: the rest of data is not
// to be read.
func verifyClearSigned(data []byte, keys openpgp.EntityList, now time.Time) ([]byte, error) {
	block, _ := clearsign.Decode(data)
	if block == nil {
		return nil, errors.New("it is not a clear-signed message")
	}
	config := &packet.Config{Time: func() time.Time { return now }}

	// Debian signs with several keys, of which an older program knows some. The library stops at
	// the first signature whose key it knows, good or not: so each signature is checked alone.
	var failures []error
	packets := packet.NewOpaqueReader(block.ArmoredSignature.Body)
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("broken signature: %w", err))
			break
		}
		var one bytes.Buffer
		if err := p.Serialize(&one); err != nil {
			failures = append(failures, err)
			continue
		}
		_, err = openpgp.CheckDetachedSignature(keys, bytes.NewReader(block.Bytes), bytes.NewReader(one.Bytes()), config)
		if err == nil {
			return block.Plaintext, nil
		}
		failures = append(failures, signatureError(p, err))
	}
	if len(failures) == 0 {
		return nil, errors.New("it carries no signature")
	}
	return nil, errors.Join(failures...)
}

// signatureError names the key of a signature that did not hold.
func signatureError(p *packet.OpaquePacket, err error) error {
	key := "unknown key"
	if parsed, perr := p.Parse(); perr == nil {
		if sig, ok := parsed.(*packet.Signature); ok && sig.IssuerKeyId != nil {
			key = fmt.Sprintf("key %016X", *sig.IssuerKeyId)
		}
	}
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return fmt.Errorf("signed by %s, which is not in the keyring", key)
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return fmt.Errorf("signed by %s, which has expired", key)
	}
	return fmt.Errorf("signature by %s does not hold: %w", key, err)
}
