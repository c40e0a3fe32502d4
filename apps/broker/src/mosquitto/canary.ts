// A client of the supervisor's own that each CRL file revokes anew: that Mosquitto refuses it is seen, and so that it reads this very file.
import { randomBytes, type KeyObject } from 'node:crypto';
import { connect } from 'node:tls';
import { Duration, parseSerialHex, type SerialHex } from '@keyline/kernel';
import { createSigner, generateKey } from '@keyline/keys';
import { createCrl, createRootCertificate } from '@keyline/pki';
import {
  algorithms,
  der,
  encodeExtendedKeyUsage,
  encodeExtension,
  encodeKeyUsage,
  encodeName,
  encodePem,
  hexOf,
  parseCertificate,
  type Signer,
} from '@keyline/x509';

export interface CanaryCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface MarkedCrl {
  /** A CRL that revokes `canary`, to be the last in the file. PEM. */
  readonly pem: string;
  readonly canary: CanaryCertificate;
}

/** `refused`: by the CRL, in so many words (TLS alert 44). Anything else that is not the opposite says nothing. */
export type Verdict = 'refused' | 'let in' | 'unclear';

/** As long as a supervisor may run; both are made anew at each start, with a key that is never written. */
const validity = Duration.days(365 * 20);
/** Mosquitto may read a file that is one or two newer than the one it was told of. */
const revokedAtOnce = 8;
const name = 'canary@keyline-broker';
const patience = 5000;

export class CanaryIssuer {
  /** To stand among the CAs that Mosquitto trusts. PEM. */
  readonly rootPem: string;
  readonly #authority: { readonly certificateDer: Uint8Array; readonly signer: Signer };
  readonly #now: number;
  #revoked: SerialHex[] = [];
  #count = 0;

  private constructor(certificateDer: Uint8Array, signer: Signer, now: number) {
    this.rootPem = encodePem('CERTIFICATE', certificateDer);
    this.#authority = { certificateDer, signer };
    this.#now = now;
  }

  /** @param now epoch milliseconds */
  static async create(now: number): Promise<CanaryIssuer> {
    const signer = createSigner(generateKey('ec-p256'));
    const root = await createRootCertificate({
      signer,
      commonName: 'Keyline broker canaries',
      now,
      validity,
      pathLen: 0,
    });
    return new CanaryIssuer(root, signer, now);
  }

  /**
   * A new canary, and the list that revokes it and the last few.
   * @param thisUpdate that of the list which has changed, epoch milliseconds: whatever a relying party makes of two lists of one second
   * or of a clock that was set back, it makes of both
   */
  async mark(thisUpdate: number): Promise<MarkedCrl> {
    const key = generateKey('ec-p256');
    // The first octet makes it positive, and of one length.
    const serial = Buffer.concat([Buffer.of(0x40), randomBytes(15)]);
    const canary = { cert: await this.#issue(serial, key), key: exportKey(key) };
    this.#revoked = [parseSerialHex(hexOf(serial)), ...this.#revoked].slice(0, revokedAtOnce);
    const crl = await createCrl({
      authority: this.#authority,
      number: ++this.#count,
      thisUpdate,
      nextUpdate: this.#now + validity,
      scope: 'user',
      entries: this.#revoked.map((each) => ({
        serial: each,
        revokedAt: thisUpdate,
        reason: 'unspecified',
      })),
    });
    return { pem: encodePem('X509 CRL', crl), canary };
  }

  async #issue(serial: Uint8Array, key: KeyObject): Promise<string> {
    const { signer, certificateDer } = this.#authority;
    const issuer = parseCertificate(certificateDer);
    const { identifierDer } = algorithms[signer.algorithm].signature;
    const tbs = der.sequence(
      der.explicit(0, der.integer(2)),
      der.unsignedInteger(serial),
      identifierDer,
      issuer.subjectDer,
      der.sequence(der.time(issuer.notBefore), der.time(issuer.notAfter)),
      encodeName([{ attribute: 'CN', value: name }]),
      createSigner(key).spkiDer,
      der.explicit(
        3,
        der.sequence(
          encodeExtension(encodeKeyUsage(['digitalSignature'])),
          encodeExtension(encodeExtendedKeyUsage(['clientAuth'])),
        ),
      ),
    );
    const signature = await signer.sign(tbs);
    return encodePem('CERTIFICATE', der.sequence(tbs, identifierDer, der.bitString(signature)));
  }
}

/** One handshake, and not a word of MQTT. */
export function tryCanary(
  canary: CanaryCertificate,
  at: { readonly host: string; readonly port: number; readonly minVersion: '1.2' | '1.3' },
): Promise<Verdict> {
  return new Promise((resolve) => {
    // In TLS 1.2 the handshake ends with the server's verdict; in 1.3 it comes afterwards: an alert, or tickets for the next time.
    const version = `TLSv${at.minVersion}` as const;
    const socket = connect({
      host: connectable(at.host),
      port: at.port,
      ...canary,
      minVersion: version,
      maxVersion: version,
      // Nothing is sent that would be worth a server in between.
      rejectUnauthorized: false,
    });
    const settle = (verdict: Verdict): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(verdict);
    };
    const timer = setTimeout(() => {
      settle('unclear');
    }, patience);
    socket.on('error', (error) => {
      settle(isRevoked(error) ? 'refused' : 'unclear');
    });
    socket.on('close', () => {
      settle('unclear');
    });
    socket.on(at.minVersion === '1.2' ? 'secureConnect' : 'session', () => {
      settle('let in');
    });
  });
}

function isRevoked(error: Error & { code?: string }): boolean {
  return error.code?.endsWith('ALERT_CERTIFICATE_REVOKED') === true;
}

/** A listener on every address is reached by the loopback's. */
function connectable(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function exportKey(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' });
}
