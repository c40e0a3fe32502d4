// A request to lint a profile by, before anybody asks for a certificate.
import { KeylineError } from '@keyline/kernel';
import { algorithms, der } from '@keyline/x509';
import { shardIndexOf } from './crl-shards.ts';
import type { IssueRequest } from './ports.ts';
import type { Profile } from './profile.ts';

export const specimenSerial = new Uint8Array(17).fill(0x41);

/** One whose CRL is that of the shard. */
export function serialInShard(shard: number, count: number): Uint8Array {
  const serial = specimenSerial.slice();
  const [high, low] = [serial.length - 2, serial.length - 1];
  for (let n = 0; shardIndexOf(serial, count) !== shard; n++) {
    serial[high] = n >> 8;
    serial[low] = n & 0xff;
  }
  return serial;
}

/** With everything the profile's names could ask for. @throws {KeylineError} PROFILE_VIOLATION when it allows no key algorithm */
export function specimenRequest(profile: Profile): IssueRequest {
  const wants = (kind: 'dns' | 'ip'): boolean =>
    profile.san.some((entry) => 'request' in entry && entry.request === kind);
  const labels = [
    ...JSON.stringify([profile.subject, profile.san]).matchAll(/\{label\.([^{}]+)\}/g),
  ];
  const [algorithm] = profile.keyAlgorithms;
  if (algorithm === undefined) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `The profile "${profile.name}" allows no key algorithm.`,
    );
  }
  return {
    profile: profile.name,
    id: 'specimen',
    type: 'type',
    batch: 'batch',
    labels: Object.fromEntries(labels.map(([, label = '']) => [label, 'XX'])),
    ...(wants('dns') ? { dnsNames: ['specimen.example'] } : {}),
    ...(wants('ip') ? { ipAddresses: ['192.0.2.1'] } : {}),
    // Right in form, no point of the curve: nobody holds a key to it.
    spkiDer: der.sequence(
      algorithms['ec-p256'].spkiAlgorithmDer,
      der.bitString(new Uint8Array(65).fill(4, 0, 1)),
    ),
    algorithm,
    now: 0,
  };
}
