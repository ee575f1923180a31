-- A digest of the pseudonym keys: the keys themselves never leave the server.
SELECT coalesce((SELECT encode(sha256(k.ipad || k.opad), 'hex') FROM postern.key k), '')
