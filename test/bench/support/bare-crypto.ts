// L, what the cryptography alone costs: one verification of a CSR's signature with the import of its key, and one signature, by
// node:crypto on P-256, per second of CPU. Everything else that a CA does is measured against it.
import { generateKeyPairSync, sign, verify } from 'node:crypto';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spkiDer = publicKey.export({ format: 'der', type: 'spki' });
// A CSR's CertificationRequestInfo and a certificate's TBS are about this long.
const requestInfo = Buffer.alloc(170, 7);
const certificateTbs = Buffer.alloc(520, 9);
const requestSignature = sign('sha256', requestInfo, privateKey);

function once(): void {
  const key = { key: spkiDer, format: 'der', type: 'spki' } as const;
  if (!verify('sha256', requestInfo, key, requestSignature)) throw new Error('does not verify');
  sign('sha256', certificateTbs, privateKey);
}

/** Pairs of verification and signature in a second of CPU, as of this moment. */
export function measureBareCrypto(milliseconds = 100): number {
  const until = performance.now() + milliseconds;
  const before = process.cpuUsage();
  let count = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 50; i++) once();
    count += 50;
  }
  const { user, system } = process.cpuUsage(before);
  return count / ((user + system) / 1e6);
}
