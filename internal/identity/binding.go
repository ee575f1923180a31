package identity

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
)

// BindingOf is the tls-server-end-point data of a certificate (RFC 5929): its hash under the hash of its own signature,
// with SHA-256 in place of MD5 and SHA-1. It is nil where that hash is not defined, as for Ed25519: PLUS must not be
// offered then, because libpq fails on it (PRO-21).
func BindingOf(leaf *x509.Certificate) []byte {
	if leaf == nil {
		return nil
	}
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		sum := sha256.Sum256(leaf.Raw)
		return sum[:]
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		sum := sha512.Sum384(leaf.Raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		sum := sha512.Sum512(leaf.Raw)
		return sum[:]
	}
	return nil
}
