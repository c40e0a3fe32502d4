// Which authority answers an OCSP request about certificates of several.
import { createHash } from 'node:crypto';
import type { Store } from '@keyline/fleet';
import { FakeClock } from '@keyline/kernel';
import type { Projection } from '@keyline/ledger';
import { createOcspResponder, type OcspCertId } from '@keyline/pki';
import { der, oids, parseCertificate, parsePublicKey } from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { createHierarchy, now, type Hierarchy } from '../../pki/test/hierarchy.ts';
import { createOcspService, type OcspService } from '../src/ocsp-service.ts';

const rows = new Map([
  ['11', { authority: 'issuing-1', state: 'active' }],
  ['12', { authority: 'issuing-1', state: 'revoked', revokedAt: now, reason: 'keyCompromise' }],
  ['21', { authority: 'issuing-2', state: 'active' }],
]);
const store = {
  findCertificate: (serial: string) => Promise.resolve(rows.get(serial)),
} as unknown as Store;
const isKnown = { isFresh: () => true, refresh: () => Promise.resolve() };
const feed = {
  join: <State>({ name, state }: Projection<State>) => ({ name, state, ...isKnown }),
};

let first: Hierarchy;
let second: Hierarchy;
let stranger: Hierarchy;
let service: OcspService;
beforeAll(async () => {
  [first, second, stranger] = await Promise.all([
    createHierarchy(),
    createHierarchy({ issuingAlgorithm: 'ec-p384' }),
    createHierarchy(),
  ]);
  // An authority may answer for itself (RFC 6960 §4.2.2.2).
  const answering = ({ issuing }: Hierarchy, authority: string) => {
    const responder = { certificateDer: issuing.certificateDer, signer: issuing.signer };
    return {
      authority,
      responder: createOcspResponder({ authority: issuing, responder }),
      notBefore: now,
    };
  };
  service = createOcspService({
    store,
    feed,
    standsOn: isKnown,
    clock: new FakeClock(now),
    responders: () => [answering(first, 'issuing-1'), answering(second, 'issuing-2')],
    revocationOf: () => undefined,
    rootAnswer: () => undefined,
    validity: 3_600_000,
  });
});

type Digest = Exclude<OcspCertId['hashAlgorithm'], 'other'>;

function certId(of: Hierarchy, serial: number, digest: Digest = 'sha1'): Uint8Array {
  const { subjectDer, spkiDer } = parseCertificate(of.issuing.certificateDer);
  const hash = (bytes: Uint8Array): Uint8Array => createHash(digest).update(bytes).digest();
  return der.sequence(
    der.sequence(der.oid(oids[digest])),
    der.octetString(hash(subjectDer)),
    der.octetString(hash(parsePublicKey(spkiDer).publicKey)),
    der.integer(serial),
  );
}

async function ask(...certIds: Uint8Array[]): Promise<string> {
  const requests = certIds.map((one) => der.sequence(one));
  const answer = await service.answer(der.sequence(der.sequence(der.sequence(...requests))));
  const bytes = Buffer.from(answer.der);
  // What follows each CertID: good [0], revoked [1], unknown [2].
  return certIds
    .map((one) => {
      const at = bytes.indexOf(one);
      if (at < 0) return `none (${bytes.toString('hex').slice(0, 12)})`;
      const tag = bytes[at + one.length] ?? 0;
      return ({ 0x80: 'good', 0xa1: 'revoked', 0x82: 'unknown' } as const)[tag] ?? 'strange';
    })
    .join(' ');
}

describe('an OCSP request about certificates of several issuers', () => {
  it('is answered for the issuer of most, and "unknown" of the others (RFC 6960 §4.2.1, §4.2.2.2)', async () => {
    expect(await ask(certId(first, 0x11), certId(first, 0x12), certId(second, 0x21))).toBe(
      'good revoked unknown',
    );
    expect(await ask(certId(second, 0x21), certId(first, 0x11), certId(second, 0x22))).toBe(
      'good unknown unknown',
    );
    expect(await ask(certId(stranger, 0x11), certId(first, 0x11))).toBe('unknown good');
  });

  it('takes a serial for its own issuer only: the same number is another certificate elsewhere', async () => {
    expect(await ask(certId(second, 0x11))).toBe('unknown');
    expect(await ask(certId(stranger, 0x12), certId(first, 0x11))).toBe('unknown good');
  });

  it('is "unauthorized" when none of them is answered for here (RFC 6960 §2.3)', async () => {
    expect(await ask(certId(stranger, 0x11), certId(stranger, 0x12))).toBe(
      'none (30030a0106) none (30030a0106)',
    );
  });
});

describe('a CertID by any digest', () => {
  it.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)(
    '%s names the issuer',
    async (digest) => {
      expect(await ask(certId(first, 0x11, digest), certId(first, 0x12, digest))).toBe(
        'good revoked',
      );
    },
  );
});
