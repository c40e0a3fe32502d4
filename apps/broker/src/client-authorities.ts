// The authorities whose clients are let in, each by its own key. What stands above them vouches for nobody here: under one root there
// may be authorities of other plants, other products and other purposes.
import { createHash, X509Certificate, type KeyObject } from 'node:crypto';
import { KeylineError, messageOf } from '@keyline/kernel';

interface Authority {
  /** SHA-256 of its public key, base64url. */
  readonly id: string;
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

export class ClientAuthorities {
  #authorities: readonly Authority[];

  /** @throws {KeylineError} FILE_UNREADABLE */
  constructor(pem: Uint8Array) {
    this.#authorities = readAuthorities(pem);
  }

  /** @throws {KeylineError} FILE_UNREADABLE; then those from before stay */
  replace(pem: Uint8Array): void {
    this.#authorities = readAuthorities(pem);
  }

  /** Which of them signed the certificate, by key and not by name; undefined: none. */
  issuerOf(certificate: X509Certificate): string | undefined {
    return this.#authorities.find(
      (authority) =>
        certificate.checkIssued(authority.certificate) && certificate.verify(authority.key),
    )?.id;
  }

  has(id: string): boolean {
    return this.#authorities.some((authority) => authority.id === id);
  }
}

function readAuthorities(pem: Uint8Array): Authority[] {
  try {
    const authorities = readCertificates(pem).map((certificate) => {
      const key = certificate.publicKey;
      return { id: keyIdOf(key), certificate, key };
    });
    if (authorities.length === 0) throw new Error('it holds no certificate');
    return authorities;
  } catch (cause) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The file of client authorities can't be used: ${messageOf(cause)}. Give the certificates of the authorities that issue the clients, PEM, one after the other.`,
      { cause },
    );
  }
}

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Every certificate in a file, in its order. @throws what OpenSSL says of one that is none */
export function readCertificates(pem: Uint8Array): X509Certificate[] {
  const blocks = Buffer.from(pem).toString('latin1').match(block) ?? [];
  return blocks.map((text) => new X509Certificate(text));
}

/** SHA-256 of the SubjectPublicKeyInfo, base64url. */
export function keyIdOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}
